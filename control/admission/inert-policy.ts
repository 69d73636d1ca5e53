// Tells whoever makes a MutatingAdmissionPolicy that it is kept and does nothing: somebody may count on it.

import { type Admission, isKind } from './admission.ts'
import { registration } from './match.ts'

export const inertPolicy: Admission = {
  name: 'InertPolicy',
  validate(review) {
    if (review.operation === 'DELETE' || !isKind(review, registration, 'MutatingAdmissionPolicy')) return
    review.warn('a MutatingAdmissionPolicy is stored, but nothing acts on it; a mutating webhook can do its work')
  },
}
