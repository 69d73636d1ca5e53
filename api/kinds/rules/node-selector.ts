// Rules for selectors of nodes, in the affinity of pods and of volumes.

import type { NodeSelector, NodeSelectorRequirement, NodeSelectorTerm } from '../../types/core-v1.gen.ts'
import type { Faults } from './faults.ts'
import { isDns1123Subdomain, isLabelValue, isQualifiedName } from './names.ts'

export function validateNodeSelector(at: string, selector: NodeSelector, faults: Faults): void {
  const terms = selector.nodeSelectorTerms
  if (!terms?.length) return faults.required(`${at}.nodeSelectorTerms`, 'must have at least one node selector term')
  for (const [i, term] of terms.entries()) validateNodeSelectorTerm(`${at}.nodeSelectorTerms[${i}]`, term, true, faults)
}

/** `strict`: values must be able to be a label's. A term that is only preferred may ask for what no node has. */
export function validateNodeSelectorTerm(at: string, term: NodeSelectorTerm, strict: boolean, faults: Faults): void {
  for (const [i, requirement] of (term.matchExpressions ?? []).entries())
    validateExpression(`${at}.matchExpressions[${i}]`, requirement, strict, faults)
  for (const [i, requirement] of (term.matchFields ?? []).entries()) validateField(`${at}.matchFields[${i}]`, requirement, faults)
}

function validateExpression(at: string, { key, operator, values = [] }: NodeSelectorRequirement, strict: boolean, faults: Faults): void {
  if (operator === 'In' || operator === 'NotIn') {
    if (values.length === 0) faults.required(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'")
  } else if (operator === 'Exists' || operator === 'DoesNotExist') {
    if (values.length > 0) faults.forbidden(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
  } else if (operator === 'Gt' || operator === 'Lt') {
    if (values.length !== 1) faults.required(`${at}.values`, "must be specified single value when `operator` is 'Lt' or 'Gt'")
  } else faults.invalid(`${at}.operator`, operator, 'not a valid selector operator')
  faults.each(`${at}.key`, key, isQualifiedName(key))
  if (strict) for (const [i, value] of values.entries()) faults.each(`${at}.values[${i}]`, value, isLabelValue(value))
}

function validateField(at: string, { key, operator, values = [] }: NodeSelectorRequirement, faults: Faults): void {
  if (operator !== 'In' && operator !== 'NotIn') faults.invalid(`${at}.operator`, operator, 'not a valid selector operator')
  else if (values.length !== 1)
    faults.required(`${at}.values`, "must be only one value when `operator` is 'In' or 'NotIn' for node field selector")
  if (key !== 'metadata.name') return faults.invalid(`${at}.key`, key, 'not a valid field selector key')
  for (const [i, value] of values.entries()) faults.each(`${at}.values[${i}]`, value, isDns1123Subdomain(value))
}
