// An operator as people write them with controller-runtime: boats with a finalizer, an owned config map, a status,
// webhooks that default, judge and convert; several of it elect a leader. Prints what it does as lines of JSON.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

const finalizer = "sail.example.com/moored"

var name = flag.String("name", "", "of this instance")

func say(what, about string) {
	text, _ := json.Marshal(map[string]string{"what": what, "about": about})
	fmt.Println(string(text))
}

type reconciler struct{ client.Client }

func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var boat Boat
	if err := r.Get(ctx, request.NamespacedName, &boat); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !boat.DeletionTimestamp.IsZero() {
		if controllerutil.RemoveFinalizer(&boat, finalizer) {
			ledger := v1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: boat.Namespace, Name: "sunk-" + boat.Name}}
			if err := r.Create(ctx, &ledger); err != nil && !apierrors.IsAlreadyExists(err) {
				return ctrl.Result{}, err
			}
			return ctrl.Result{}, r.Update(ctx, &boat)
		}
		return ctrl.Result{}, nil
	}
	if controllerutil.AddFinalizer(&boat, finalizer) {
		return ctrl.Result{}, r.Update(ctx, &boat)
	}
	papers := v1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: boat.Namespace, Name: "papers-" + boat.Name}}
	result, err := controllerutil.CreateOrUpdate(ctx, r.Client, &papers, func() error {
		papers.Data = map[string]string{"crew": fmt.Sprint(boat.Spec.Crew), "port": boat.Spec.Port}
		return controllerutil.SetControllerReference(&boat, &papers, r.Scheme())
	})
	if err != nil {
		return ctrl.Result{}, err
	}
	if result != controllerutil.OperationResultNone {
		say("papers "+string(result), boat.Name)
	}
	if boat.Status.Phase != "Afloat" {
		boat.Status = BoatStatus{Phase: "Afloat", By: *name}
		return ctrl.Result{}, r.Status().Update(ctx, &boat)
	}
	return ctrl.Result{}, nil
}

type hooks struct{}

func (hooks) Default(_ context.Context, boat *Boat) error {
	if boat.Spec.Port == "" {
		boat.Spec.Port = "Home"
	}
	return nil
}

func judge(boat *Boat) (admission.Warnings, error) {
	if boat.Spec.Crew > 100 {
		return nil, fmt.Errorf("a crew of %d would sink it", boat.Spec.Crew)
	}
	if boat.Spec.Crew == 0 {
		return admission.Warnings{"nobody is aboard"}, nil
	}
	return nil, nil
}

func (hooks) ValidateCreate(_ context.Context, boat *Boat) (admission.Warnings, error) {
	return judge(boat)
}
func (hooks) ValidateUpdate(_ context.Context, _, boat *Boat) (admission.Warnings, error) {
	return judge(boat)
}
func (hooks) ValidateDelete(_ context.Context, boat *Boat) (admission.Warnings, error) {
	if boat.Labels["keep"] == "true" {
		return nil, fmt.Errorf("it is to be kept")
	}
	return nil, nil
}

func main() {
	kubeconfig := flag.String("at", "", "kubeconfig of the cluster")
	host := flag.String("host", "127.0.0.1", "where the webhooks listen")
	port := flag.Int("port", 9443, "and their port")
	certs := flag.String("certs", "", "folder of tls.crt and tls.key")
	flag.Parse()
	ctrl.SetLogger(zap.New(zap.WriteTo(os.Stderr)))
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	check(err)
	scheme := clientgoscheme.Scheme
	addToScheme(scheme)
	lease, renew, retry := 20*time.Second, 15*time.Second, 500*time.Millisecond
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                  scheme,
		Metrics:                 server.Options{BindAddress: "0"},
		WebhookServer:           webhook.NewServer(webhook.Options{Host: *host, Port: *port, CertDir: *certs}),
		LeaderElection:          true,
		LeaderElectionID:        "boats",
		LeaderElectionNamespace: "default",
		LeaseDuration:           &lease,
		RenewDeadline:           &renew,
		RetryPeriod:             &retry,
	})
	check(err)
	check(ctrl.NewControllerManagedBy(manager).For(&Boat{}).Owns(&v1.ConfigMap{}).Complete(&reconciler{manager.GetClient()}))
	check(ctrl.NewWebhookManagedBy(manager, &Boat{}).WithDefaulter(hooks{}).WithValidator(hooks{}).Complete())
	ctx := ctrl.SetupSignalHandler()
	go func() {
		<-manager.Elected()
		say("leads", *name)
	}()
	go func() {
		for !started(manager.GetWebhookServer()) {
			time.Sleep(50 * time.Millisecond)
		}
		say("serves", *name)
	}()
	check(manager.Start(ctx))
}

func started(server webhook.Server) bool { return server.StartedChecker()(nil) == nil }

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
