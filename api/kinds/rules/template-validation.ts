// Rules for pod templates and what runs them (core validation ValidatePodTemplateSpec and its callers).

import { labelSelector, matchesLabels } from '../../selector/label.ts'
import type { PodTemplateSpec, Volume } from '../../types/core-v1.gen.ts'
import type { LabelSelector } from '../../types/meta-v1.gen.ts'
import type { Faults } from './faults.ts'
import { validateAnnotations, validateLabels } from './meta.ts'
import { validatePodAnnotations, validateProfiles } from './pod-annotations.ts'
import { validatePodSpec } from './pod-validation.ts'
import { validateLabelSelector } from './workload.ts'

/** `volumes` are there in the pods without the template naming them: those of a stateful set's claims. */
export function validatePodTemplate(at: string, template: PodTemplateSpec | undefined, faults: Faults, volumes: Volume[] = []): void {
  if (!template) return faults.required(at)
  validateLabels(`${at}.labels`, template.metadata?.labels, faults)
  validateAnnotations(`${at}.annotations`, template.metadata?.annotations, faults)
  if (!template.spec) return faults.required(`${at}.spec.containers`)
  validatePodAnnotations(`${at}.annotations`, template.metadata?.annotations, template.spec, faults)
  const spec = volumes.length > 0 ? { ...template.spec, volumes: [...(template.spec.volumes ?? []), ...volumes] } : template.spec
  validatePodSpec(`${at}.spec`, spec, undefined, faults)
  validateProfiles(`${at}.spec`, template.metadata?.annotations, template.spec, faults)
  if (template.spec.ephemeralContainers?.length)
    faults.forbidden(`${at}.spec.ephemeralContainers`, 'ephemeral containers not allowed in pod template')
}

/** For pods that are kept running: always restarted, without a deadline. */
export function validateRunsForever(template: PodTemplateSpec | undefined, kind: string, faults: Faults): void {
  const spec = template?.spec
  if (!spec) return
  if (spec.restartPolicy !== 'Always') faults.notSupported('spec.template.spec.restartPolicy', spec.restartPolicy, ['Always'])
  if (spec.activeDeadlineSeconds !== undefined)
    faults.forbidden('spec.template.spec.activeDeadlineSeconds', `activeDeadlineSeconds in ${kind} is not Supported`)
}

/** The selector must be sound, and select the template's pods. `empty` is said of one without requirements. */
export function validateTemplateSelector(
  spec: { selector?: LabelSelector; template?: PodTemplateSpec },
  empty: string | undefined,
  faults: Faults,
): void {
  const { selector, template } = spec
  if (!selector) return faults.required('spec.selector')
  const before = faults.list.length
  validateLabelSelector('spec.selector', selector, faults)
  const isEmpty = !selector.matchExpressions?.length && Object.keys(selector.matchLabels ?? {}).length === 0
  if (empty && isEmpty) faults.invalid('spec.selector', selector, empty)
  if (faults.list.length > before || !template) return
  const labels = template.metadata?.labels ?? {}
  if (!matchesLabels(labelSelector(selector), labels))
    faults.invalid('spec.template.metadata.labels', labels, '`selector` does not match template `labels`')
}

/** Of what keeps so many pods like its template. */
export function validateReplicated(spec: { selector?: LabelSelector; template?: PodTemplateSpec }, faults: Faults): void {
  validateTemplateSelector(spec, 'empty selector is invalid for deployment', faults)
  validatePodTemplate('spec.template', spec.template, faults)
  validateRunsForever(spec.template, 'ReplicaSet', faults)
}
