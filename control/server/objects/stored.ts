// An object as the store has it, decoded.

import type { KubeObject } from '#api/kinds/kind.ts'

export type Stored = KubeObject & { status?: unknown }
