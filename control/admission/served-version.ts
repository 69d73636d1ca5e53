// Objects as each version of their kind shows them. Admission decides about what is kept; webhooks and
// policies ask for the version that they know.

import type { Kind, KubeObject } from '#api/kinds/kind.ts'
import type { JsonObject } from '#api/schema/decode.ts'
import type { Review } from './admission.ts'

export type ServedVersion = {
  kind: Kind
  /** A copy of a kept object. */
  show(object: KubeObject): Promise<JsonObject>
  /** What was made of it: decoded as this version has it, and as it is kept. Throws BadRequest, or Invalid. */
  keep(shown: JsonObject): Promise<KubeObject>
}

/** All versions in which the objects of a kind are served, the given one first. */
export type ServedVersions = (kind: Kind) => readonly ServedVersion[]

export type Shown = { object: JsonObject | undefined; previous: JsonObject | undefined }

/** The objects of a review; on DELETE the one that is there is the previous one. */
export async function shownIn(served: ServedVersion, { operation, object, previous, form }: Review): Promise<Shown> {
  const show = async (each: KubeObject) => (form ? form.show(each) : await served.show(each))
  if (operation === 'DELETE') return { object: undefined, previous: await show(object) }
  return { object: await show(object), previous: previous && (await show(previous)) }
}

/** The objects of a review, made once for each version in which somebody asks for them. */
export function showing(review: Review): (served: ServedVersion) => Promise<Shown> {
  const made = new Map<ServedVersion, Promise<Shown>>()
  return (served) => {
    const shown = made.get(served) ?? shownIn(served, review)
    made.set(served, shown)
    return shown
  }
}
