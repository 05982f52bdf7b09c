// What can be said of an encoded image (JPEG, PNG, WebP) without decoding it. The same rules as in Python
// (mobileseg/data/io.py).
#ifndef MOBILESEG_SRC_ENCODED_H_
#define MOBILESEG_SRC_ENCODED_H_

#include <string>

namespace mobileseg {

// Whether a file goes on to the end of the image: decoders fill the rest of a JPEG with grey and say nothing.
// True for other formats, whose decoders do complain.
bool is_complete(const std::string& data);

// Orientation that the EXIF data of a JPEG, PNG or WebP name, 1 (as stored) to 8; 1 without any. Data that
// are damaged do not make the pixels unreadable.
int orientation_of(const std::string& data);

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_ENCODED_H_
