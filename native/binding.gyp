# What `npm install` builds where no prebuilt addon fits; the Makefile builds the same sources for this repository.
{
  'targets': [
    {
      'target_name': 'nft',
      'sources': ['<!@(ls src/*.cc)'],
      'include_dirs': ['<!(node -p "require(\'node-addon-api\').include_dir")'],
      'defines': ['NAPI_VERSION=9', 'NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS', 'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS'],
      'cflags_cc!': ['-std=gnu++17', '-std=gnu++20', '-fexceptions'],
      'cflags_cc': ['-std=c++20', '-fno-exceptions', '-fno-rtti', '-fvisibility=hidden', '-Wall', '-Wextra'],
      'ldflags': ['-static-libstdc++', '-static-libgcc', '-Wl,-z,now', '-s'],
    },
  ],
}
