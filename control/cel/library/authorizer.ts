// Questions about rights: `authorizer.group('apps').resource('deployments').check('create').allowed()`.
// Who may what is known in another thread, so a question that has no answer yet is only noted: whoever
// evaluates the expression finds the answers and evaluates it once more.

import type { Environment } from '@marcbachmann/cel-js'

/** `account`: the service account that is asked about, in place of the user of the request. */
export type Question = { verb: string; account?: { namespace: string; name: string } } & (
  | { path: string; resource?: undefined }
  | { path?: undefined; group: string; resource: string; subresource: string; namespace: string; name: string }
)
/** `reason`: why it is allowed. */
export type Answer = { allowed: boolean; reason: string }

export class Questions {
  readonly #answers: ReadonlyMap<string, Answer>
  readonly #open = new Map<string, Question>()

  constructor(answers: ReadonlyMap<string, Answer>) {
    this.#answers = answers
  }

  /** Those that were asked and have no answer, by their key. */
  get open(): ReadonlyMap<string, Question> {
    return this.#open
  }

  ask(question: Question): Decision {
    const key = JSON.stringify(question)
    const answer = this.#answers.get(key)
    if (!answer) this.#open.set(key, question)
    return new Decision(answer ?? { allowed: false, reason: '' })
  }
}

class Decision {
  readonly answer: Answer
  constructor(answer: Answer) {
    this.answer = answer
  }
}

type Who = { questions: Questions; account?: { namespace: string; name: string } }
type What = { group: string; resource: string; subresource: string; namespace: string; name: string }

export class Authorizer {
  readonly who: Who
  readonly requestResource: ResourceCheck
  constructor(who: Who, what: What) {
    this.who = who
    this.requestResource = new ResourceCheck(who, what)
  }
}

class PathCheck {
  readonly who: Who
  readonly path: string
  constructor(who: Who, path: string) {
    this.who = who
    this.path = path
  }
}

class GroupCheck {
  readonly who: Who
  readonly group: string
  constructor(who: Who, group: string) {
    this.who = who
    this.group = group
  }
}

class ResourceCheck {
  readonly who: Who
  readonly what: What
  constructor(who: Who, what: What) {
    this.who = who
    this.what = what
  }
}

const asked = ({ account }: Who) => ({ ...(account && { account }) })
const narrowed = (field: keyof What) => (check: ResourceCheck, value: string) =>
  new ResourceCheck(check.who, { ...check.what, [field]: value })
/** Our authorizers look at no selectors: asking for less is asking for all. */
const unselected = (check: ResourceCheck, _selector: string) => check

export function authorizers(environment: Environment): void {
  environment
    .registerType('Decision', { ctor: Decision, fields: {} })
    .registerType('PathCheck', { ctor: PathCheck, fields: {} })
    .registerType('GroupCheck', { ctor: GroupCheck, fields: {} })
    .registerType('ResourceCheck', { ctor: ResourceCheck, fields: {} })
    .registerType('Authorizer', { ctor: Authorizer, fields: { requestResource: 'ResourceCheck' } })
    .registerFunction('Authorizer.path(string): PathCheck', ({ who }: Authorizer, path: string) => new PathCheck(who, path))
    .registerFunction('Authorizer.group(string): GroupCheck', ({ who }: Authorizer, group: string) => new GroupCheck(who, group))
    .registerFunction(
      'Authorizer.serviceAccount(string, string): Authorizer',
      ({ who, requestResource }: Authorizer, namespace: string, name: string) =>
        new Authorizer({ ...who, account: { namespace, name } }, requestResource.what),
    )
    .registerFunction(
      'GroupCheck.resource(string): ResourceCheck',
      ({ who, group }: GroupCheck, resource: string) =>
        new ResourceCheck(who, { group, resource, subresource: '', namespace: '', name: '' }),
    )
    .registerFunction('ResourceCheck.subresource(string): ResourceCheck', narrowed('subresource'))
    .registerFunction('ResourceCheck.namespace(string): ResourceCheck', narrowed('namespace'))
    .registerFunction('ResourceCheck.name(string): ResourceCheck', narrowed('name'))
    .registerFunction('ResourceCheck.fieldSelector(string): ResourceCheck', unselected)
    .registerFunction('ResourceCheck.labelSelector(string): ResourceCheck', unselected)
    .registerFunction('PathCheck.check(string): Decision', ({ who, path }: PathCheck, verb: string) =>
      who.questions.ask({ ...asked(who), verb, path }),
    )
    .registerFunction('ResourceCheck.check(string): Decision', ({ who, what }: ResourceCheck, verb: string) =>
      who.questions.ask({ ...asked(who), verb, ...what }),
    )
    .registerFunction('Decision.allowed(): bool', ({ answer }: Decision) => answer.allowed)
    .registerFunction('Decision.reason(): string', ({ answer }: Decision) => answer.reason)
    .registerFunction('Decision.errored(): bool', () => false)
    .registerFunction('Decision.error(): string', () => '')
}
