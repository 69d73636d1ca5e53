import { clientConformance } from './conformance.ts'
import { fakeClient } from './fake.ts'

clientConformance('fake', () => ({ client: fakeClient() }))
