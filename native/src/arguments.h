// The arguments of one call, read with their kinds checked.
#pragma once

#include <napi.h>

#include <string>
#include <utility>
#include <vector>

namespace nft {

// A wrong kind throws a TypeError and makes `ok` false; read them all, then test it.
class Arguments {
 public:
  explicit Arguments(const Napi::CallbackInfo& info) : info_(info) {}
  int32_t integer(size_t index);
  uint32_t natural(size_t index);
  std::string text(size_t index) { return text_of(info_[index]); }
  // Absent, null and undefined are empty.
  std::string text_or_empty(size_t index);
  std::vector<std::string> texts(size_t index);
  // Points into the ArrayBuffer: valid during this call only.
  std::pair<uint8_t*, size_t> bytes(size_t index);
  Napi::Value value(size_t index) const { return info_[index]; }
  bool ok() const { return ok_; }

 private:
  void wrong(const char* what);
  std::string text_of(const Napi::Value& value);
  const Napi::CallbackInfo& info_;
  bool ok_ = true;
};

}  // namespace nft
