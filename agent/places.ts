// The folders of an agent, under its own.

import { join } from 'node:path'

export const places = (dataDir: string) => ({
  images: join(dataDir, 'images'),
  containers: join(dataDir, 'containers'),
  pods: join(dataDir, 'pods'),
  logs: join(dataDir, 'logs'),
  /** Profiles that pods name; an administrator's to fill. */
  seccomp: join(dataDir, 'seccomp'),
})
