// Whom a container runs as: numbers as given, names looked up in the image's own passwd and group.

import { readIn } from './rootfs.ts'
import { RuntimeError } from './runtime-error.ts'

export type User = { uid: number; gid: number; groups: number[]; home: string }

type Passwd = { name: string; uid: number; gid: number; home: string }
type Group = { name: string; gid: number; members: string[] }

const largestId = 2 ** 32 - 2

/** Resolves `user[:group]` against the image, or completes a numeric user by the image's home and groups. */
export async function resolveUser(root: string, user: { uid: number; gid: number; groups: number[] } | string): Promise<User> {
  const users = parsePasswd(await readIn(root, '/etc/passwd'))
  if (typeof user === 'object') return { ...user, home: users.find((u) => u.uid === user.uid)?.home || '/' }
  const groups = parseGroup(await readIn(root, '/etc/group'))
  const [userPart = '', groupPart = ''] = user.split(':', 2)
  const found = users.find((u) => u.name === userPart) ?? users.find((u) => String(u.uid) === (userPart || '0'))
  const uid = found?.uid ?? number(userPart || '0', `unable to find user ${userPart}: no matching entries in passwd file`)
  const home = found?.home || '/'
  if (groupPart) {
    const group = groups.find((g) => g.name === groupPart)
    const gid = group?.gid ?? number(groupPart, `unable to find group ${groupPart}: no matching entries in group file`)
    return { uid, gid, groups: [], home }
  }
  // Without a group, those of the image that count the user as a member come along, as login(1) does.
  const memberOf = found ? groups.filter((g) => g.members.includes(found.name)).map((g) => g.gid) : []
  return { uid, gid: found?.gid ?? 0, groups: memberOf, home }
}

function number(text: string, otherwise: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (!(value <= largestId)) throw new RuntimeError('CreateContainerError', otherwise)
  return value
}

const lines = (text: string): string[][] =>
  text
    .split('\n')
    .filter((line) => line && !line.startsWith('#'))
    .map((line) => line.split(':'))

const parsePasswd = (text: string): Passwd[] =>
  lines(text)
    .filter((f) => f.length >= 6 && /^\d+$/.test(f[2]!) && /^\d+$/.test(f[3]!))
    .map((f) => ({ name: f[0]!, uid: Number(f[2]), gid: Number(f[3]), home: f[5]! }))

const parseGroup = (text: string): Group[] =>
  lines(text)
    .filter((f) => f.length >= 3 && /^\d+$/.test(f[2]!))
    .map((f) => ({ name: f[0]!, gid: Number(f[2]), members: f[3]?.split(',').filter(Boolean) ?? [] }))
