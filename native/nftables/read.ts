// Chains, rules and other parts of tables out of the messages of a listing or of notifications.

import type { AttributeReader } from '../netlink/message.ts'
import { hooks } from './batch.ts'
import { readExpressions } from './expression-codec.ts'
import type { ChainSpec, Rule } from './table.ts'

/** Of all messages, the first attribute is the name of the table. */
export const tableOf = (attrs: AttributeReader): string => {
  while (attrs.next()) if (attrs.type === 1) return attrs.string()
  return ''
}

export const readChain = (attrs: AttributeReader): ChainSpec => {
  let name = ''
  let type = ''
  let policy: number | undefined
  let hook: { number: number; priority: number } | undefined
  while (attrs.next()) {
    if (attrs.type === 3) name = attrs.string()
    else if (attrs.type === 4) hook = readHook(attrs.nested())
    else if (attrs.type === 5) policy = attrs.u32be()
    else if (attrs.type === 7) type = attrs.string()
  }
  const base = hook && {
    type: type as NonNullable<ChainSpec['base']>['type'],
    hook: hooks[hook.number] ?? 'prerouting',
    priority: hook.priority,
    policy: policy === 0 ? ('drop' as const) : ('accept' as const),
  }
  return { name, ...(base && { base }) }
}

export const readRule = (attrs: AttributeReader): { chain: string; rule: Rule } => {
  let chain = ''
  let rule: Rule = { handle: 0, expressions: [] }
  while (attrs.next()) {
    if (attrs.type === 2) chain = attrs.string()
    else if (attrs.type === 3) rule = { ...rule, handle: Number(attrs.u64be()) }
    else if (attrs.type === 4) rule = { ...rule, expressions: readExpressions(attrs.nested()) }
    else if (attrs.type === 7) rule = { ...rule, ...readComment(attrs.bytes()) }
  }
  return { chain, rule }
}

const readHook = (attrs: AttributeReader): { number: number; priority: number } => {
  const hook = { number: 0, priority: 0 }
  while (attrs.next()) {
    if (attrs.type === 1) hook.number = attrs.u32be()
    else if (attrs.type === 2) hook.priority = attrs.u32be() | 0
  }
  return hook
}

const readComment = (bytes: Uint8Array): { comment?: string } => {
  for (let at = 0; at + 2 <= bytes.length; at += 2 + (bytes[at + 1] as number))
    if (bytes[at] === 0) return { comment: new TextDecoder().decode(bytes.subarray(at + 2, at + 1 + (bytes[at + 1] as number))) }
  return {}
}
