package deploytest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerui"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/mp3lathe/mp3lathe/internal/app"
	"github.com/mp3lathe/mp3lathe/internal/app/queues"
	"github.com/mp3lathe/mp3lathe/internal/app/workers"
)

// registry answers as one that has every image.
type registry struct{ asked []string }

func (r *registry) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	r.asked = append(r.asked, ref)
	return ref, "", []byte(`{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/usr/local/go/bin:/usr/bin:/bin"]}}`), nil
}

const digestOfTest = "sha256:0000000000000000000000000000000000000000000000000000000000000815"

func dockerfile(t *testing.T) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(top, "deploy", "docker", "Dockerfile"))
	must(t, err)
	return b
}

// convert is what BuildKit makes of a target of the Dockerfile: its image's settings,
// and the base images that it asked for.
func convert(t *testing.T, target string) (dockerspec.DockerOCIImageConfig, []string) {
	t.Helper()
	r := &registry{}
	_, image, _, _, err := dockerfile2llb.Dockerfile2LLB(t.Context(), dockerfile(t), dockerfile2llb.ConvertOpt{
		Config: dockerui.Config{
			Target: target,
			BuildArgs: map[string]string{
				"GO_DIGEST": digestOfTest, "VERSION": "v1.2.3", "REVISION": "abc", "CREATED": "2026-01-02T03:04:05Z",
			},
		},
		MetaResolver: r,
		// Where this runs is no matter.
		TargetPlatform: &ocispecs.Platform{OS: "linux", Architecture: "amd64"},
		Warn: func(rule, description, _, text string, at []parser.Range) {
			t.Errorf("BuildKit warns: %s: %s: %s at %v", rule, description, text, at)
		},
	})
	if err != nil {
		t.Fatalf("BuildKit cannot build %s: %v", target, err)
	}
	return image.Config, r.asked
}

// grammars are those of the services, with the names of their images.
var grammars = map[string]any{"gateway": &app.GatewayCLI{}, "auth": &app.AuthCLI{}, "notifier": &app.NotifierCLI{}, "worker": &workers.CLI{}, "queues": &queues.CLI{}}

// variables are those that a command of a service can be set by; "" is its default one.
func variables(t *testing.T, service, command string) map[string]bool {
	t.Helper()
	parser, err := kong.New(grammars[service], app.Vars("5m"))
	must(t, err)
	node := parser.Model.DefaultCmd
	for _, n := range parser.Model.Children {
		if n.Name == command {
			node = n
		}
	}
	if command != "" && node.Name != command {
		t.Fatalf("%s has no command %q", service, command)
	}
	known := map[string]bool{}
	for _, flag := range node.Flags {
		for _, name := range flag.Tag.Envs {
			known[name] = true
		}
	}
	if !known["MP3LATHE_LOG_LEVEL"] && command == "" {
		t.Fatalf("the variables of %s are %v", service, known)
	}
	return known
}

// TestDockerfile: each image can be built, holds what scripts/rootfs.sh lays down and
// nothing else, and says what it is and how to run it.
func TestDockerfile(t *testing.T) {
	parsed, err := parser.Parse(bytes.NewReader(dockerfile(t)))
	must(t, err)
	stages, args, err := instructions.Parse(parsed.AST, linter.New(&linter.Config{}))
	must(t, err)
	for _, arg := range args {
		for _, a := range arg.Args {
			if a.Key == "GO_IMAGE" && (a.Value == nil || !strings.Contains(*a.Value, ":1.")) {
				t.Errorf("the base image is %v: want one version's", a.Value)
			}
		}
	}
	found := map[string]instructions.Stage{}
	for _, s := range stages {
		found[s.Name] = s
	}
	for _, image := range images(t) {
		stage, ok := found[image]
		if !ok {
			t.Errorf("no target %s", image)
			continue
		}
		t.Run(image, func(t *testing.T) {
			config, asked := convert(t, image)
			settings(t, image, config)
			for _, ref := range asked {
				if !strings.HasSuffix(ref, "@"+digestOfTest) {
					t.Errorf("a base that a digest does not pin: %s", ref)
				}
			}
			if stage.BaseName != "scratch" {
				t.Errorf("it begins with %s, not with nothing", stage.BaseName)
			}
			origin(t, image, stage, found)
		})
	}
}

// settings looks at how an image says that it is to be run.
func settings(t *testing.T, image string, config dockerspec.DockerOCIImageConfig) {
	path := "/" + program(image)
	if config.User != "65532:65532" {
		t.Errorf("it runs as %q", config.User)
	}
	if !slices.Equal(config.Entrypoint, []string{path}) {
		t.Errorf("it starts %q", config.Entrypoint)
	}
	if config.Healthcheck == nil || !slices.Equal(config.Healthcheck.Test, []string{"CMD", path, "health"}) {
		t.Errorf("its health is asked by %+v", config.Healthcheck)
	} else if config.Healthcheck.Timeout.Seconds() <= 5 {
		t.Errorf("its health is waited for for %v, which is shorter than the command waits", config.Healthcheck.Timeout)
	}
	for name, want := range map[string]string{"version": "v1.2.3", "revision": "abc", "created": "2026-01-02T03:04:05Z", "title": path[1:], "description": "", "source": ""} {
		if got := config.Labels["org.opencontainers.image."+name]; got == "" || want != "" && got != want {
			t.Errorf("its label %s is %q", name, got)
		}
	}
	n := 0
	for _, pair := range config.Env {
		name, value, _ := strings.Cut(pair, "=")
		switch {
		case name == "PATH": // BuildKit adds it
		case image != "mp3lathe" && !variables(t, image, "")[name]:
			t.Errorf("%s is no variable of %s", name, path)
		case name == "MP3LATHE_LISTEN", name == "MP3LATHE_HEALTH":
			n++
			if _, ok := config.ExposedPorts[strings.TrimPrefix(value, ":")+"/tcp"]; !ok {
				t.Errorf("its ports are %v, and %s is %q", config.ExposedPorts, name, value)
			}
		}
	}
	if n != len(config.ExposedPorts) {
		t.Errorf("its ports are %v, and it listens on %d", config.ExposedPorts, n)
	}
}

// origin checks that an image is a copy of what the script has made, and the script's
// file the only list of what that is.
func origin(t *testing.T, image string, stage instructions.Stage, stages map[string]instructions.Stage) {
	folder, copies := "/out/"+image+"/", 0
	for _, c := range stage.Commands {
		c, ok := c.(*instructions.CopyCommand)
		if !ok {
			continue
		}
		switch from := stages[c.From]; {
		case slices.Equal(c.SourcePaths, []string{folder}) && c.DestPath == "/":
			copies++
			want := fmt.Sprintf("scripts/rootfs.sh build %s /out/%[1]s", image)
			made := false
			for _, b := range from.Commands {
				if run, ok := b.(*instructions.RunCommand); ok {
					made = made || strings.Contains(strings.Join(run.CmdLine, " "), want)
				}
			}
			if !made {
				t.Errorf("no RUN of the stage %s has %q", c.From, want)
			}
		case image == "mp3lathe" && slices.Equal(c.SourcePaths, []string{folder + "data"}) && c.DestPath == "/data" && c.Chown == "65532:65532":
		default:
			t.Errorf("it has more than the script's files: %s", c)
		}
	}
	if copies != 1 {
		t.Errorf("%d copies of %s", copies, folder)
	}
}
