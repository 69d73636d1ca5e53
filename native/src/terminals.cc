// Pseudo-terminals (pty(7)).
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "addon.h"

namespace nft {
namespace {

// { master, slave }: a descriptor that the caller closes, and the path of the other end. Raw: nothing is
// echoed or translated until whoever runs in it says so.
Napi::Value open_pty(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Fd master(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!master) return raise(env, failed("posix_openpt"));
  if (unlockpt(master.get()) != 0) return raise(env, failed("unlockpt"));
  char path[64];
  if (int error = ptsname_r(master.get(), path, sizeof path)) return raise(env, Failure{error, "ptsname", ""});
  termios mode;
  if (tcgetattr(master.get(), &mode) != 0) return raise(env, failed("tcgetattr"));
  cfmakeraw(&mode);
  if (tcsetattr(master.get(), TCSANOW, &mode) != 0) return raise(env, failed("tcsetattr"));
  auto result = Napi::Object::New(env);
  result.Set("slave", path);
  result.Set("master", master.get());
  master.release();
  return result;
}

// (fd, columns, rows)
Napi::Value set_window_size(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  int fd = arguments.integer(0);
  uint32_t columns = arguments.natural(1), rows = arguments.natural(2);
  if (!arguments.ok()) return {};
  winsize size = {};
  size.ws_col = static_cast<unsigned short>(columns > 0xffff ? 0xffff : columns);
  size.ws_row = static_cast<unsigned short>(rows > 0xffff ? 0xffff : rows);
  if (ioctl(fd, TIOCSWINSZ, &size) != 0) return raise(env, failed("ioctl", "TIOCSWINSZ"));
  return env.Undefined();
}

}  // namespace

void define_terminals(Napi::Object exports) {
  define(exports, "openPty", open_pty);
  define(exports, "setWindowSize", set_window_size);
}

}  // namespace nft
