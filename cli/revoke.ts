// `coracle revoke …`: the certificates that the running server takes no more, by their serial number or all of a name.
// The list is a ConfigMap; this writes it so that nobody has to know its form, nor locks themselves out with it.

import { X509Certificate } from 'node:crypto'
import { isStatus } from '#api/errors.ts'
import { ConfigMap } from '#api/kinds/index.ts'
import { isListed, type RevokedBy, revocations, revokedIn, withoutRevoked, withRevoked } from '#control/auth/revoked.ts'
import { readFrom } from './access.ts'
import { type Where, withServer } from './token.ts'

type Data = ConfigMap['data']

/** Changes the list as it is now; false: it is so already. */
async function change(where: Where, make: (data: Data) => Data | undefined): Promise<boolean> {
  let changed = false
  await withServer(where, async (client) => {
    for (;;) {
      const found = await client.find(ConfigMap, revocations)
      const data = make(found?.data)
      changed = data !== undefined
      if (!data) return
      try {
        if (found) await client.update(ConfigMap, { ...found, data })
        else await client.create(ConfigMap, { metadata: revocations, data })
        return
      } catch (error) {
        // Somebody else wrote it meanwhile.
        if (!isStatus(error, 'Conflict', 'AlreadyExists', 'NotFound')) throw error
      }
    }
  })
  return changed
}

export async function revoke(by: RevokedBy, text: string, where: Where): Promise<void> {
  const own = new X509Certificate(await readFrom(where.dataDir, 'admin.crt'))
  const commonName = /^CN=(.*)$/m.exec(own.subject)?.[1] ?? ''
  const changed = await change(where, (data) => {
    const next = withRevoked(data, by, text)
    if (next && isListed(next, { commonName, serial: own.serialNumber }))
      throw new Error(`${text} is the administrator's own certificate of this server: nobody could take it back`)
    return next
  })
  console.log(changed ? `revoked ${by} ${text}` : `${by} ${text} is revoked already`)
}

export async function restore(by: RevokedBy, text: string, where: Where): Promise<void> {
  if (!(await change(where, (data) => withoutRevoked(data, by, text)))) throw new Error(`${by} ${text} is not revoked`)
  console.log(`restored ${by} ${text}`)
}

export const listRevoked = (where: Where): Promise<void> =>
  withServer(where, async (client) => {
    const found = await client.find(ConfigMap, revocations)
    const rows = (['serial', 'name'] as const).flatMap((by) => revokedIn(found?.data, by).map((text) => [by, text] as const))
    for (const [by, text] of [['BY', 'REVOKED'], ...rows]) console.log(`${by.padEnd(6)}   ${text}`)
  })
