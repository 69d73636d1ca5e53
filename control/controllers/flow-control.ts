// Flow control: the default objects stay, and each schema tells whether its priority level is there.

import { timestamp } from '#api/clock.ts'
import { FlowSchema, PriorityLevelConfiguration } from '#api/kinds/index.ts'
import { done, mapped, of, type Reconciler } from '#api/queue/reconciler.ts'
import type { FlowSchemaCondition } from '#api/types/flowcontrol-v1.gen.ts'
import { ensureLevel, ensureSchema } from '../fairness/ensure.ts'
import type { Deps } from './deps.ts'

export function priorityLevels({ client, informers }: Deps): Reconciler {
  const levels = informers.of(PriorityLevelConfiguration)
  return {
    name: 'priority-levels',
    watches: [of(PriorityLevelConfiguration)],
    async reconcile(name) {
      await ensureLevel(client, name, levels.get(name))
      return done
    },
  }
}

export function flowSchemas({ client, informers, clock }: Deps): Reconciler {
  const schemas = informers.of(FlowSchema)
  const levels = informers.of(PriorityLevelConfiguration)
  return {
    name: 'flow-schemas',
    watches: [
      of(FlowSchema),
      mapped(PriorityLevelConfiguration, ({ metadata: { name } }) =>
        [...schemas.list()].filter((s) => s.spec.priorityLevelConfiguration.name === name).map((s) => s.metadata.name),
      ),
    ],
    async reconcile(name, signal) {
      const schema = schemas.get(name)
      await ensureSchema(client, name, schema)
      if (!schema) return done
      const others = schema.status?.conditions?.filter((c) => c.type !== 'Dangling') ?? []
      const before = schema.status?.conditions?.find((c) => c.type === 'Dangling')
      const level = schema.spec.priorityLevelConfiguration.name
      const now = dangling(level, levels.get(level) !== undefined)
      if (before?.status === now.status && before?.message === now.message) return done
      const at = before?.status === now.status ? before?.lastTransitionTime : undefined
      const conditions = [...others, { ...now, lastTransitionTime: at ?? timestamp(clock.now()) }]
      await client.update(FlowSchema, { ...schema, status: { ...schema.status, conditions } }, { subresource: 'status', signal })
      return done
    },
  }
}

function dangling(level: string, isThere: boolean): FlowSchemaCondition {
  const reference = `This FlowSchema references the PriorityLevelConfiguration object named ${JSON.stringify(level)}`
  return isThere
    ? { type: 'Dangling', status: 'False', reason: 'Found', message: `${reference} and it exists` }
    : { type: 'Dangling', status: 'True', reason: 'NotFound', message: `${reference} but there is no such object` }
}
