// Renders kustomizations as `kubectl apply -k` does, and says what an API server would: of fields that a kind does not
// have, of values of the wrong type, and of pods that the `restricted` Pod Security Standard refuses.
//
//	render DIRECTORY...
//
// prints {DIRECTORY: {"objects": [...], "problems": ["..."], "untyped": ["KIND", ...]}}. Untyped are objects of kinds that
// Kubernetes itself does not have.
//
//	render --conditions
//
// reads {"expression": CEL, "cases": [{"object": POD, "oldObject": POD}, ...]} and prints what the expression, a match
// condition of a webhook, says of each case: [true, ...].
package main

import (
	"encoding/json"
	"fmt"
	"os"

	admissionregistration "k8s.io/api/admissionregistration/v1"
	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	rbac "k8s.io/api/rbac/v1"
	scheduling "k8s.io/api/scheduling/v1"
	storage "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	security "k8s.io/pod-security-admission/api"
	checks "k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

type rendering struct {
	Objects  []json.RawMessage `json:"objects"`
	Problems []string          `json:"problems"`
	Untyped  []string          `json:"untyped"`
}

type checker struct {
	decoder   runtime.Decoder
	evaluator checks.Evaluator
}

func newChecker() (*checker, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		admissionregistration.AddToScheme, apps.AddToScheme, batch.AddToScheme, core.AddToScheme,
		networking.AddToScheme, policy.AddToScheme, rbac.AddToScheme, scheduling.AddToScheme, storage.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	evaluator, err := checks.NewEvaluator(checks.DefaultChecks())
	if err != nil {
		return nil, err
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	return &checker{decoder, evaluator}, nil
}

// The pods that the object makes, nil if none.
func podOf(object runtime.Object) *core.PodTemplateSpec {
	switch typed := object.(type) {
	case *core.Pod:
		return &core.PodTemplateSpec{ObjectMeta: typed.ObjectMeta, Spec: typed.Spec}
	case *apps.Deployment:
		return &typed.Spec.Template
	case *apps.StatefulSet:
		return &typed.Spec.Template
	case *apps.DaemonSet:
		return &typed.Spec.Template
	case *batch.Job:
		return &typed.Spec.Template
	case *batch.CronJob:
		return &typed.Spec.JobTemplate.Spec.Template
	}
	return nil
}

func (c *checker) check(name string, text []byte, out *rendering) {
	object, _, err := c.decoder.Decode(text, nil, nil)
	if runtime.IsNotRegisteredError(err) {
		out.Untyped = append(out.Untyped, name)
		return
	}
	if err != nil {
		out.Problems = append(out.Problems, fmt.Sprintf("%s: %v", name, err))
		return
	}
	pod := podOf(object)
	if pod == nil {
		return
	}
	level := security.LevelVersion{Level: security.LevelRestricted, Version: security.LatestVersion()}
	for _, result := range c.evaluator.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec) {
		if !result.Allowed {
			out.Problems = append(out.Problems,
				fmt.Sprintf("%s: restricted: %s: %s", name, result.ForbiddenReason, result.ForbiddenDetail))
		}
	}
}

func (c *checker) render(directory string) (*rendering, error) {
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), directory)
	if err != nil {
		return nil, err
	}
	out := &rendering{Problems: []string{}, Untyped: []string{}}
	for _, resource := range resources.Resources() {
		text, err := resource.MarshalJSON()
		if err != nil {
			return nil, err
		}
		out.Objects = append(out.Objects, text)
		c.check(resource.GetKind()+"/"+resource.GetName(), text, out)
	}
	return out, nil
}

func run(directories []string) error {
	checker, err := newChecker()
	if err != nil {
		return err
	}
	all := map[string]*rendering{}
	for _, directory := range directories {
		if all[directory], err = checker.render(directory); err != nil {
			return fmt.Errorf("%s: %w", directory, err)
		}
	}
	return json.NewEncoder(os.Stdout).Encode(all)
}

func main() {
	var err error
	if len(os.Args) == 2 && os.Args[1] == "--conditions" {
		err = evaluateConditions(os.Stdin, os.Stdout)
	} else {
		err = run(os.Args[1:])
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "render: %v\n", err)
		os.Exit(1)
	}
}
