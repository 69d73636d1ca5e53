import type { Ref } from '#api/client/client.ts'
import type { Kind, KubeObject } from '#api/kinds/kind.ts'

/** What is there now; plugins change nothing but the object under review. */
export type Find = <T extends KubeObject>(kind: Kind<T>, ref: Ref) => Promise<T | undefined>
