// Keeps the default flow control objects: made where they are missing, put right where they are to follow
// what is written here. To be rid of one, keep it, mark it as one's own and let it match nothing.

import type { Client } from '#api/client/client.ts'
import { isStatus } from '#api/errors.ts'
import { FlowSchema, PriorityLevelConfiguration } from '#api/kinds/index.ts'
import type { Kind, KubeObject } from '#api/kinds/kind.ts'
import { same } from '#api/kinds/rules/faults.ts'
import { autoupdate, defaultLevels, defaultSchemas, mandatory } from './defaults.ts'

export async function ensureFlowControl(client: Client): Promise<void> {
  const [levels, schemas] = await Promise.all([client.list(PriorityLevelConfiguration), client.list(FlowSchema)])
  const named = <T extends KubeObject>(items: readonly T[], name: string) => items.find((item) => item.metadata.name === name)
  await Promise.all([
    ...[...defaultLevels.keys()].map((name) => ensureLevel(client, name, named(levels.items, name))),
    ...[...defaultSchemas.keys()].map((name) => ensureSchema(client, name, named(schemas.items, name))),
  ])
}

/** `there`: the object as it is, if it is. */
export const ensureLevel = (client: Client, name: string, there: KubeObject | undefined): Promise<void> =>
  ensure(client, PriorityLevelConfiguration, name, defaultLevels.get(name), there)

export const ensureSchema = (client: Client, name: string, there: KubeObject | undefined): Promise<void> =>
  ensure(client, FlowSchema, name, defaultSchemas.get(name), there)

async function ensure(client: Client, kind: Kind, name: string, spec: object | undefined, there: KubeObject | undefined): Promise<void> {
  if (!spec) return
  try {
    if (!there) {
      const made = { metadata: { name, annotations: { [autoupdate]: 'true' } }, spec }
      await client.create(kind, made)
    } else if (isKept(there) && !same((there as { spec?: unknown }).spec, spec)) await client.update(kind, { ...there, spec } as KubeObject)
  } catch (error) {
    // Somebody else was faster: their write wakes the controller again.
    if (!isStatus(error, 'AlreadyExists', 'Conflict', 'NotFound')) throw error
  }
}

const isKept = ({ metadata }: KubeObject) => mandatory.includes(metadata.name) || metadata.annotations?.[autoupdate] === 'true'
