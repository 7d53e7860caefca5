package deploytest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	containerd "github.com/containerd/containerd/v2/contrib/seccomp"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	moby "github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/mp3lathe/mp3lathe/internal/testserver"
)

// container is an image that runc runs, the runtime of Docker and containerd, with
// what those two give to a container by default, and less: no capability, and a root
// that nobody may write to. The network is that of the machine, for the servers of the
// test.
type container struct {
	image  string
	id     string
	state  string // runc's folder
	config dockerspec.DockerOCIImageConfig
	out    *testserver.Output
	done   chan struct{}
	code   int // when done
}

// place is where and how a container is to run.
type place struct {
	env     []string
	args    []string          // instead of the image's own command
	mounts  map[string]string // folders or files of the machine, by their names in the container
	write   bool              // whether the folders may be written to
	profile func(*specs.Spec) (*specs.LinuxSeccomp, error)
}

// engines are the seccomp profiles that are called RuntimeDefault.
var engines = map[string]func(*specs.Spec) (*specs.LinuxSeccomp, error){
	"docker":     moby.GetDefaultProfile,
	"containerd": func(s *specs.Spec) (*specs.LinuxSeccomp, error) { return containerd.DefaultProfile(s), nil },
}

// spec is what Docker tells runc of such a container.
func (p *place) spec(config dockerspec.DockerOCIImageConfig, root string) (*specs.Spec, error) {
	args := append([]string{}, config.Entrypoint...)
	if p.args != nil {
		args = append(args, p.args...)
	} else {
		args = append(args, config.Cmd...)
	}
	s := &specs.Spec{
		Version: "1.0.2",
		Root:    &specs.Root{Path: root, Readonly: true},
		Process: &specs.Process{
			User: specs.User{UID: 65532, GID: 65532},
			Args: args, Env: append(append([]string{}, config.Env...), p.env...), Cwd: "/",
			Capabilities: &specs.LinuxCapabilities{}, NoNewPrivileges: true,
			Rlimits: []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 1024, Hard: 4096}},
		},
		Hostname: "container",
		// Engines also mount /sys, where Go finds how many processors the container may use.
		// It is to run without.
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
			{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
		},
		Linux: &specs.Linux{
			Namespaces: []specs.LinuxNamespace{{Type: specs.PIDNamespace}, {Type: specs.IPCNamespace}, {Type: specs.UTSNamespace}, {Type: specs.MountNamespace}},
			MaskedPaths: []string{
				"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug",
				"/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware",
			},
			ReadonlyPaths: []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
		},
	}
	if uid, gid := os.Geteuid(), os.Getegid(); uid != 0 { // runc for users
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 65532, HostID: uint32(uid), Size: 1}}
		s.Linux.GIDMappings = []specs.LinuxIDMapping{{ContainerID: 65532, HostID: uint32(gid), Size: 1}}
	}
	for at, from := range p.mounts {
		options := []string{"rbind", "ro", "nosuid", "nodev", "noexec"}
		if p.write {
			options[1] = "rw"
		}
		s.Mounts = append(s.Mounts, specs.Mount{Destination: at, Type: "bind", Source: from, Options: options})
	}
	profile := p.profile
	if profile == nil {
		profile = moby.GetDefaultProfile
	}
	var err error
	s.Linux.Seccomp, err = profile(s)
	return s, err
}

// runc is the command. It is found where users who are not root do not look, too.
func runc(args ...string) *exec.Cmd {
	name := "runc"
	if _, err := exec.LookPath(name); err != nil {
		name = "/usr/sbin/runc"
	}
	return exec.Command(name, args...)
}

// start runs an image in a container until the end of the test, which fails if it ends
// badly.
func start(t *testing.T, image string, p place) *container {
	t.Helper()
	config, _ := convert(t, image)
	bundle := t.TempDir()
	// A copy, since runc makes the places of mounts in it, as engines do in a layer of their own.
	root := filepath.Join(bundle, "rootfs")
	if out, err := exec.Command("cp", "-al", rootfs(t, image), root).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	spec, err := p.spec(config, root)
	must(t, err)
	b, err := json.Marshal(spec)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(bundle, "config.json"), b, 0o600))
	c := &container{
		image: image, id: fmt.Sprintf("mp3lathe-test-%d-%s", os.Getpid(), filepath.Base(filepath.Dir(bundle))+filepath.Base(bundle)),
		state: t.TempDir(), config: config, out: &testserver.Output{}, done: make(chan struct{}),
	}
	cmd := runc("--root", c.state, "run", "--bundle", bundle, c.id)
	cmd.Stdout, cmd.Stderr = c.out, c.out
	// Of a test that is killed, too, nothing is left: runc hands it on.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		t.Fatalf("runc cannot be started (scripts/deps.sh --test installs it): %v", err)
	}
	go func() {
		_ = cmd.Wait()
		c.code = cmd.ProcessState.ExitCode()
		close(c.done)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-c.done:
		case <-time.After(time.Minute):
			_ = runc("--root", c.state, "delete", "--force", c.id).Run()
			<-c.done
			t.Errorf("%s did not stop within a minute", image)
		}
		if c.code != 0 {
			t.Errorf("%s ended with %d", image, c.code)
		}
		if t.Failed() {
			t.Logf("%s: %s", image, c.out)
		}
	})
	return c
}

// once runs an image until it ends by itself, and returns what it printed.
func once(t *testing.T, image string, p place) string {
	t.Helper()
	c := start(t, image, p)
	<-c.done
	return c.out.String()
}

// healthy waits until the image's own command says that the container is well.
func (c *container) healthy(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		err := c.health()
		if err == nil {
			return
		}
		select {
		case <-c.done:
			t.Fatalf("%s ended at its start with %d: %s", c.image, c.code, c.out)
		case <-ctx.Done():
			t.Fatalf("%s does not become healthy: %v\n%s", c.image, err, c.out)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// health runs the image's command once, as Docker does.
func (c *container) health() error {
	args := []string{"--root", c.state, "exec", "--user", "65532:65532", "--cwd", "/", c.id}
	out, err := runc(append(args, c.config.Healthcheck.Test[1:]...)...).CombinedOutput()
	if err != nil {
		return errors.Join(err, errors.New(strings.TrimSpace(string(out))))
	}
	return nil
}
