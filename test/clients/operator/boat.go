package main

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/conversion"
)

const group = "sail.example.com"

// Boat is stored as v1, where the crew is a number; in v1beta1 it is a list of names.
type Boat struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              BoatSpec   `json:"spec"`
	Status            BoatStatus `json:"status,omitempty"`
}

type BoatSpec struct {
	Crew int    `json:"crew"`
	Port string `json:"port,omitempty"`
}

type BoatStatus struct {
	Phase string `json:"phase,omitempty"`
	By    string `json:"by,omitempty"`
}

type BoatList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Boat `json:"items"`
}

type OldBoat struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              OldBoatSpec `json:"spec"`
	Status            BoatStatus  `json:"status,omitempty"`
}

type OldBoatSpec struct {
	Sailors []string `json:"sailors,omitempty"`
	Port    string   `json:"port,omitempty"`
}

func (b *Boat) Hub() {}

func (b *OldBoat) ConvertTo(hub conversion.Hub) error {
	to := hub.(*Boat)
	to.ObjectMeta, to.Status = b.ObjectMeta, b.Status
	to.Spec = BoatSpec{Crew: len(b.Spec.Sailors), Port: b.Spec.Port}
	return nil
}

func (b *OldBoat) ConvertFrom(hub conversion.Hub) error {
	from := hub.(*Boat)
	b.ObjectMeta, b.Status = from.ObjectMeta, from.Status
	b.Spec.Port = from.Spec.Port
	for range from.Spec.Crew {
		b.Spec.Sailors = append(b.Spec.Sailors, "sailor")
	}
	return nil
}

func (b *Boat) DeepCopyObject() runtime.Object {
	copy := *b
	b.ObjectMeta.DeepCopyInto(&copy.ObjectMeta)
	return &copy
}

func (l *BoatList) DeepCopyObject() runtime.Object {
	copy := *l
	l.ListMeta.DeepCopyInto(&copy.ListMeta)
	copy.Items = nil
	for _, boat := range l.Items {
		copy.Items = append(copy.Items, *boat.DeepCopyObject().(*Boat))
	}
	return &copy
}

func (b *OldBoat) DeepCopyObject() runtime.Object {
	copy := *b
	b.ObjectMeta.DeepCopyInto(&copy.ObjectMeta)
	copy.Spec.Sailors = append([]string(nil), b.Spec.Sailors...)
	return &copy
}

func addToScheme(scheme *runtime.Scheme) {
	v1 := schema.GroupVersion{Group: group, Version: "v1"}
	beta := schema.GroupVersion{Group: group, Version: "v1beta1"}
	scheme.AddKnownTypes(v1, &Boat{}, &BoatList{})
	scheme.AddKnownTypeWithName(beta.WithKind("Boat"), &OldBoat{})
	metav1.AddToGroupVersion(scheme, v1)
	metav1.AddToGroupVersion(scheme, beta)
}
