// Prints, as lines of JSON, what a shared informer of client-go tells of the config maps of a namespace. A line on
// its standard input is answered with what its store holds.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sync"

	v1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

type told struct {
	What    string `json:"what"`
	Name    string `json:"name"`
	Version string `json:"version"`
	Value   string `json:"value"`
}

func main() {
	kubeconfig := flag.String("kubeconfig", "", "of the cluster")
	namespace := flag.String("namespace", "default", "to look at")
	protobuf := flag.Bool("protobuf", false, "asks for protobuf first")
	flag.Parse()
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	check(err)
	if *protobuf {
		config.ContentType = "application/vnd.kubernetes.protobuf"
		config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	}
	client, err := kubernetes.NewForConfig(config)
	check(err)
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(*namespace))
	informer := factory.Core().V1().ConfigMaps().Informer()

	var lock sync.Mutex
	say := func(what string, object any) {
		if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
			object = gone.Obj
		}
		m := object.(*v1.ConfigMap)
		print(&lock, told{what, m.Name, m.ResourceVersion, m.Data["value"]})
	}
	_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) { say("add", object) },
		UpdateFunc: func(old, object any) {
			// A list made anew tells of what has not changed, too.
			if old.(*v1.ConfigMap).ResourceVersion == object.(*v1.ConfigMap).ResourceVersion {
				say("same", object)
				return
			}
			say("update", object)
		},
		DeleteFunc: func(object any) { say("delete", object) },
	})
	check(err)
	stop := make(chan struct{})
	factory.Start(stop)
	factory.WaitForCacheSync(stop)
	print(&lock, told{What: "synced"})
	for input := bufio.NewScanner(os.Stdin); input.Scan(); {
		for _, object := range informer.GetStore().List() {
			say("holds", object)
		}
		print(&lock, told{What: "end"})
	}
}

func print(lock *sync.Mutex, line told) {
	lock.Lock()
	defer lock.Unlock()
	text, err := json.Marshal(line)
	check(err)
	fmt.Println(string(text))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
