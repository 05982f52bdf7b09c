// Errors that a user can act on: what was seen, what was expected, the smallest remedy.
#ifndef MOBILESEG_ERROR_H_
#define MOBILESEG_ERROR_H_

#include <stdexcept>
#include <string>

namespace mobileseg {

// The value is the exit code of the program; the same numbers as the Python commands.
enum class ErrorKind {
  kUsage = 2,         // the command line is wrong
  kData = 3,          // an image or a video cannot be used
  kDisagreement = 6,  // a stage does not answer what was stored at export
  kRuntime = 7,       // an artefact folder or the engine cannot do what was asked
  kDependency = 8,    // this build lacks what was asked for
};

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message, const std::string& remedy = "")
      : std::runtime_error(remedy.empty() ? message : message + "\n  hint: " + remedy), kind_(kind) {}

  ErrorKind kind() const { return kind_; }
  int exit_code() const { return static_cast<int>(kind_); }

 private:
  ErrorKind kind_;
};

}  // namespace mobileseg

#endif  // MOBILESEG_ERROR_H_
