// What becomes of each workload after whatever happened to it; longer in test/model.test.ts.

import { test } from 'node:test'
import { daemonSetHistory, deploymentHistory, statefulSetHistory } from './histories.fake.ts'

test('a deployment, whatever happens, ends as it should', () => deploymentHistory(1))

test('a stateful set in order, whatever happens, ends as it should', () => statefulSetHistory(1))

test('a parallel one does', () => statefulSetHistory(2))

test('a daemon set does, also with a node that never comes back', () => daemonSetHistory(1))
