// Everything a program needs:
//
//   mobileseg::Segmenter segmenter = mobileseg::Segmenter::open("model_folder");
//   mobileseg::Result result;
//   segmenter.run({pixels, {height, width}, stride, mobileseg::ColorOrder::kRgb}, &result);
//
// Failures are thrown as mobileseg::Error.
#ifndef MOBILESEG_MOBILESEG_H_
#define MOBILESEG_MOBILESEG_H_

#include "mobileseg/engine.h"
#include "mobileseg/error.h"
#include "mobileseg/image.h"
#include "mobileseg/manifest.h"
#include "mobileseg/output.h"
#include "mobileseg/result.h"
#include "mobileseg/segmenter.h"
#include "mobileseg/selftest.h"
#include "mobileseg/tensor.h"
#include "mobileseg/tracking.h"

#endif  // MOBILESEG_MOBILESEG_H_
