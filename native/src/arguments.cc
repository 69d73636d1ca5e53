#include "arguments.h"

namespace nft {

void Arguments::wrong(const char* what) {
  // What a getter threw stays the reason.
  if (ok_ && !info_.Env().IsExceptionPending()) Napi::TypeError::New(info_.Env(), what).ThrowAsJavaScriptException();
  ok_ = false;
}

int32_t Arguments::integer(size_t index) {
  if (info_[index].IsNumber()) return info_[index].As<Napi::Number>().Int32Value();
  wrong("an integer was expected");
  return 0;
}

uint32_t Arguments::natural(size_t index) {
  if (info_[index].IsNumber()) return info_[index].As<Napi::Number>().Uint32Value();
  wrong("an integer was expected");
  return 0;
}

std::string Arguments::text_of(const Napi::Value& value) {
  if (value.IsEmpty() || !value.IsString()) {
    wrong("a string was expected");
    return "";
  }
  std::string result = value.As<Napi::String>().Utf8Value();
  // A path that ends early would name something else than was asked for.
  if (result.find('\0') != std::string::npos) wrong("a string without NUL was expected");
  return result;
}

std::vector<std::string> Arguments::texts(size_t index) {
  std::vector<std::string> result;
  if (!info_[index].IsArray()) {
    wrong("an array of strings was expected");
    return result;
  }
  auto array = info_[index].As<Napi::Array>();
  for (uint32_t i = 0, length = array.Length(); i < length && ok_; i++) {
    Napi::MaybeOrValue<Napi::Value> element = array.Get(i);
    result.push_back(text_of(element));
  }
  return result;
}

std::string Arguments::text_or_empty(size_t index) {
  return info_[index].IsUndefined() || info_[index].IsNull() ? "" : text(index);
}

std::pair<uint8_t*, size_t> Arguments::bytes(size_t index) {
  if (!info_[index].IsTypedArray() || info_[index].As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    wrong("a Uint8Array was expected");
    return {nullptr, 0};
  }
  auto array = info_[index].As<Napi::Uint8Array>();
  return {array.Data(), array.ElementLength()};
}

}  // namespace nft
