// When an object that is being deleted may go.

import type { KubeObject } from '#api/kinds/kind.ts'

type Held = KubeObject & { spec?: { finalizers?: string[] } }

/** Whether somebody still has something to do before `object` may go. A namespace has finalizers in its spec, too. */
export const isHeld = (object: KubeObject): boolean =>
  (object.metadata.finalizers?.length ?? 0) > 0 ||
  (object.kind === 'Namespace' && object.apiVersion === 'v1' && ((object as Held).spec?.finalizers?.length ?? 0) > 0)

/** Whether the last obstacle to its deletion is gone. */
export const isDone = (object: KubeObject): boolean =>
  Boolean(object.metadata.deletionTimestamp) && !object.metadata.deletionGracePeriodSeconds && !isHeld(object)
