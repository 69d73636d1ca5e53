// The outermost stage of every app: sends what those within answered.

import { type HttpEnv, replyTo, type Stage } from './env.ts'
import { send } from './send.ts'
import { RequestView } from './view.ts'
import { WebIncoming } from './web.ts'

/** On Node's response where there is one: no Response and no stream of the Web is made then. */
export const replies = <E extends HttpEnv>(): Stage<E> => sending as unknown as Stage<E>

const sending: Stage = async (c, next) => {
  c.env ??= {}
  const { incoming, outgoing } = c.env
  const raw: unknown = c.req.raw
  if (incoming && outgoing && raw instanceof RequestView) {
    c.set('incoming', raw.incoming)
    await next()
    const reply = replyTo(c)
    // Not waited for: a watch is sent for hours, and needs nothing of what the request left behind.
    if (!reply.headers.values['x-hono-already-sent']) void send(reply, incoming, outgoing).catch(() => outgoing.destroy())
    return
  }
  const web = new WebIncoming(c.req.raw)
  c.set('incoming', web)
  await next()
  const reply = replyTo(c)
  c.res = undefined
  c.res = web.responseOf(reply)
}
