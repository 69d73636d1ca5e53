// What a job's conditions say of it.

import type { Job } from '#api/kinds/index.ts'
import type { JobCondition, JobConditionType } from '#api/types/batch-v1.gen.ts'

export const trueCondition = ({ status }: Job, type: JobConditionType): JobCondition | undefined =>
  status?.conditions?.find((condition) => condition.type === type && condition.status === 'True')

/** The condition that says that nothing more will happen. */
export const finishedAs = (job: Job): JobCondition | undefined => trueCondition(job, 'Complete') ?? trueCondition(job, 'Failed')
