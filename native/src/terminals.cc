// Pseudo-terminals (pty(7)).
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "napi.h"

namespace nft {
namespace {

// { master, slave }: a descriptor that the caller closes, and the path of the other end. Raw: nothing is
// echoed or translated until whoever runs in it says so.
napi_value open_pty(napi_env env, napi_callback_info) {
  Fd master(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!master) return raise(env, failed("posix_openpt"));
  if (unlockpt(master.get()) != 0) return raise(env, failed("unlockpt"));
  char path[64];
  if (int error = ptsname_r(master.get(), path, sizeof path)) return raise(env, Failure{error, "ptsname", ""});
  termios mode;
  if (tcgetattr(master.get(), &mode) != 0) return raise(env, failed("tcgetattr"));
  cfmakeraw(&mode);
  if (tcsetattr(master.get(), TCSANOW, &mode) != 0) return raise(env, failed("tcsetattr"));
  napi_value result = nullptr, text = nullptr;
  napi_create_object(env, &result);
  napi_create_string_utf8(env, path, NAPI_AUTO_LENGTH, &text);
  if (napi_set_named_property(env, result, "slave", text) != napi_ok) return nullptr;
  if (napi_set_named_property(env, result, "master", integer(env, master.get())) != napi_ok) return nullptr;
  master.release();
  return result;
}

// (fd, columns, rows)
napi_value set_window_size(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  int fd = arguments.integer(0);
  uint32_t columns = arguments.natural(1), rows = arguments.natural(2);
  if (!arguments.ok()) return nullptr;
  winsize size = {};
  size.ws_col = static_cast<unsigned short>(columns > 0xffff ? 0xffff : columns);
  size.ws_row = static_cast<unsigned short>(rows > 0xffff ? 0xffff : rows);
  if (ioctl(fd, TIOCSWINSZ, &size) != 0) return raise(env, failed("ioctl", "TIOCSWINSZ"));
  return undefined(env);
}

}  // namespace

void define_terminals(napi_env env, napi_value exports) {
  define(env, exports, "openPty", open_pty);
  define(env, exports, "setWindowSize", set_window_size);
}

}  // namespace nft
