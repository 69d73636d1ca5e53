import { Node, Pod } from '../kinds/index.ts'
import { clientConformance } from './conformance.ts'
import { fakeClient } from './fake.ts'

clientConformance('fake', () => {
  const client = fakeClient()
  return {
    client,
    async says(pod, text) {
      client.put(Node, { metadata: { name: 'talker' } })
      await client.create(Pod, { metadata: pod, target: { name: 'talker' } }, { subresource: 'binding' })
      client.say(pod, text)
    },
  }
})
