package deploytest

import (
	"bytes"
	"context"
	"database/sql"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	_ "github.com/go-sql-driver/mysql" // for root, who makes databases
	"github.com/redis/go-redis/v9"
	"go.yaml.in/yaml/v3"

	"github.com/mp3lathe/mp3lathe/internal/app"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
)

// makeSecrets runs deploy/secrets.sh and returns its folder.
func makeSecrets(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "secrets")
	if out, err := exec.Command(filepath.Join(top, "deploy", "secrets.sh"), dir).CombinedOutput(); err != nil {
		t.Fatalf("deploy/secrets.sh: %v\n%s", err, out)
	}
	return dir
}

// compose reads deploy/compose.yaml as Docker Compose does, with secrets in a folder.
func compose(t *testing.T, secrets string, env ...string) *types.Project {
	t.Helper()
	return composeOf(t, []string{"compose.yaml"}, secrets, env...)
}

// composeOf is compose for some files, of which later ones change earlier ones.
func composeOf(t *testing.T, files []string, secrets string, env ...string) *types.Project {
	t.Helper()
	var paths []string
	for _, name := range files {
		paths = append(paths, filepath.Join(top, "deploy", name))
	}
	options, err := cli.NewProjectOptions(paths,
		cli.WithEnv(append([]string{"MP3LATHE_SECRETS=" + secrets}, env...)), cli.WithResolvedPaths(true), cli.WithConsistency(true))
	must(t, err)
	project, err := options.LoadProject(t.Context())
	must(t, err)
	return project
}

var services = []string{"gateway", "auth", "worker", "notifier", "queues"}

// TestCompose: everything that it takes is in the file, is looked after, and is found.
func TestCompose(t *testing.T) {
	for name, variant := range variants {
		t.Run(name, func(t *testing.T) { checkCompose(t, variant.files, variant.parts) })
	}
}

// variants of what Compose starts: by their files, and the parts beside our services.
var variants = map[string]struct{ files, parts []string }{
	"SQL and S3": {[]string{"compose.yaml"}, []string{"database", "redis", "s3", "bucket", "mail", "prometheus", "grafana"}},
	"MongoDB":    {[]string{"compose.yaml", "compose.mongodb.yaml"}, []string{"database", "redis", "mongodb", "mail", "prometheus", "grafana"}},
}

func checkCompose(t *testing.T, files, parts []string) {
	secrets := makeSecrets(t)
	project := composeOf(t, files, secrets)
	want := append(slices.Clone(parts), services...)
	if got := project.ServiceNames(); !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
		t.Errorf("the services are %q", got)
	}
	for _, s := range project.Services {
		ours := slices.Contains(services, s.Name)
		if s.Name == "bucket" { // which ends
			continue
		}
		if s.Restart != types.RestartPolicyUnlessStopped {
			t.Errorf("%s: restart is %q", s.Name, s.Restart)
		}
		if _, tag, ok := strings.Cut(filepath.Base(s.Image), ":"); !ok || tag == "latest" {
			t.Errorf("%s: the image %s names no version", s.Name, s.Image)
		}
		switch {
		case ours && s.HealthCheck != nil:
			t.Errorf("%s: its health is asked by %+v, not as its image does", s.Name, s.HealthCheck)
		case !ours && s.HealthCheck == nil:
			t.Errorf("%s: nobody asks for its health", s.Name)
		}
		for _, p := range s.Ports {
			if p.HostIP != "127.0.0.1" {
				t.Errorf("%s: %s is published on %q", s.Name, p.Published, p.HostIP)
			}
		}
		for _, v := range s.Volumes {
			if v.Type == types.VolumeTypeBind {
				if _, err := os.Stat(v.Source); err != nil {
					t.Errorf("%s: %v", s.Name, err)
				}
			}
		}
		for name, value := range s.Environment {
			fromFile := strings.HasSuffix(name, "_FILE")
			if secret := regexp.MustCompile(`(?i)password|secret|(link|auth)_key|token`).MatchString(name); secret && !fromFile && !fromEnvFile(s, name) {
				t.Errorf("%s: the secret %s stands in the file", s.Name, name)
			}
			if path, ok := strings.CutPrefix(deref(value), "/run/secrets/"); ok && !slices.ContainsFunc(s.Secrets, func(s types.ServiceSecretConfig) bool { return s.Source == path }) {
				t.Errorf("%s: %s names the secret %s, which it is not given", s.Name, name, path)
			}
		}
	}
	used := map[string]bool{}
	for _, s := range project.Services {
		for _, x := range s.Secrets {
			used[x.Source] = true
		}
	}
	for name, secret := range project.Secrets {
		if b, err := os.ReadFile(secret.File); err != nil || len(b) == 0 || !used[name] {
			t.Errorf("the secret %s: used %v, %d bytes, %v", name, used[name], len(b), err)
		}
	}
	if n := slices.Collect(maps.Keys(project.Services["worker"].Networks)); !slices.Equal(n, []string{"parts"}) || !project.Networks["parts"].Internal {
		t.Errorf("the worker gets out by %q", n)
	}
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// fromEnvFile reports whether a variable comes from a file.
func fromEnvFile(s types.ServiceConfig, name string) bool {
	for _, f := range s.EnvFiles {
		if b, err := os.ReadFile(f.Path); err == nil && strings.Contains("\n"+string(b), "\n"+name+"=") {
			return true
		}
	}
	return false
}

// refuses runs a service in this process with the variables of a deployment, in which
// secrets stand for /run/secrets. It must go as far as to look for the database, which
// nobody has here, and so take all its settings; queues, which need none, serve.
func refuses(t *testing.T, service string, env map[string]string, secrets string) {
	t.Helper()
	known := variables(t, service, "")
	for name, value := range env {
		if strings.HasPrefix(name, "MP3LATHE_") && !known[name] {
			t.Errorf("%s has no variable %s", service, name)
		}
		t.Setenv(name, strings.ReplaceAll(value, "/run/secrets", secrets))
	}
	log := &testserver.Output{}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	code, words := 1, "the database cannot be used"
	if service == "queues" {
		code, words = 0, "the page of the queues is served"
		t.Setenv("MP3LATHE_LISTEN", "127.0.0.1:0")
		go func() {
			for ctx.Err() == nil && !strings.Contains(log.String(), words) {
				time.Sleep(10 * time.Millisecond)
			}
			cancel()
		}()
	}
	got := app.Main(ctx, service, "", grammars[service], nil, &app.Std{In: strings.NewReader(""), Out: log, Err: log})
	if got != code || !strings.Contains(log.String(), words) {
		t.Errorf("%s ends with %d: %s", service, got, log)
	}
}

// TestComposeSettings: each of our services takes its settings, secrets included, and
// gets the time that it needs to end.
func TestComposeSettings(t *testing.T) {
	for name, variant := range variants {
		t.Run(name, func(t *testing.T) { checkComposeSettings(t, variant.files) })
	}
}

func checkComposeSettings(t *testing.T, files []string) {
	secrets := makeSecrets(t)
	project := composeOf(t, files, secrets)
	for _, name := range services {
		t.Run(name, func(t *testing.T) {
			s := project.Services[name]
			env := map[string]string{}
			for k, v := range s.Environment {
				env[k] = deref(v)
			}
			refuses(t, name, env, secrets)
			if s.Build == nil || s.Build.Target != name || s.Image != "mp3lathe-"+name+":dev" {
				t.Errorf("the image %s is built by %+v", s.Image, s.Build)
			} else if _, err := os.Stat(filepath.Join(s.Build.Context, s.Build.Dockerfile)); err != nil {
				t.Error(err)
			}
			if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Equal(s.SecurityOpt, []string{"no-new-privileges:true"}) || s.Privileged || len(s.CapAdd) > 0 {
				t.Errorf("it has more rights than it needs: read-only %v, cap_drop %q, security_opt %q, privileged %v, cap_add %q", s.ReadOnly, s.CapDrop, s.SecurityOpt, s.Privileged, s.CapAdd)
			}
			if s.StopGracePeriod == nil || time.Duration(*s.StopGracePeriod) < ends(t, name, env) {
				t.Errorf("it gets %v to end in, and takes up to %v", s.StopGracePeriod, ends(t, name, env))
			}
		})
	}
}

// ends is how long a service may take to end, as docs/running.md has it, and a bit more.
func ends(t *testing.T, service string, env map[string]string) time.Duration {
	t.Helper()
	setting := func(variable string) time.Duration {
		value := env[variable]
		if value == "" {
			parser, err := kong.New(grammars[service], app.Vars("5m"))
			must(t, err)
			for _, f := range parser.Model.DefaultCmd.Flags {
				if slices.Contains(f.Tag.Envs, variable) {
					value = f.Default
				}
			}
		}
		d, err := time.ParseDuration(value)
		must(t, err)
		return d
	}
	const spare = 5 * time.Second
	switch service {
	case "gateway":
		return setting("MP3LATHE_DRAIN") + 5*time.Second + spare
	case "worker":
		return max(setting("MP3LATHE_GRACE")+10*time.Second, 30*time.Second) + spare
	}
	return 30*time.Second + spare
}

// TestSecrets: they are made once, differ, and are for their owner alone.
func TestSecrets(t *testing.T) {
	read := func(dir string) map[string]string {
		all := map[string]string{}
		entries, err := os.ReadDir(dir)
		must(t, err)
		for _, e := range entries {
			b, err := os.ReadFile(filepath.Join(dir, e.Name()))
			must(t, err)
			all[e.Name()] = string(b)
			if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o444 {
				t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
			}
		}
		return all
	}
	dir := makeSecrets(t)
	first, other := read(dir), read(makeSecrets(t))
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info.Mode(), err)
	}
	for name, value := range first {
		if other[name] == value {
			t.Errorf("%s is the same as elsewhere", name)
		}
	}
	out, err := exec.Command(filepath.Join(top, "deploy", "secrets.sh"), dir).CombinedOutput()
	if err != nil || len(out) > 0 || !maps.Equal(first, read(dir)) {
		t.Errorf("a second call has changed something: %v\n%s", err, out)
	}
	random := map[string]bool{}
	for _, name := range []string{"link.key", "auth.key", "s3.secret", "mariadb.root", "mongodb.root", "grafana.password", ".jobs", ".accounts", ".redis"} {
		if random[first[name]] || len(first[name]) != 64 {
			t.Errorf("%s is %q", name, first[name])
		}
		random[first[name]] = true
	}
}

// TestComposeDatabase: a real server understands databases.sql, and each program gets on
// with its user.
func TestComposeDatabase(t *testing.T) {
	secrets := makeSecrets(t)
	maria, err := testserver.MariaDB(t.Context())
	must(t, err)
	t.Cleanup(func() { must(t, maria.Stop()) })
	some, err := maria.NewDatabase(t.Context())
	must(t, err)
	u, err := url.Parse(some)
	must(t, err)
	root, err := sql.Open("mysql", "root@tcp("+u.Host+")/?multiStatements=true")
	must(t, err)
	defer root.Close()
	script, err := os.ReadFile(filepath.Join(secrets, "databases.sql"))
	must(t, err)
	_, err = root.ExecContext(t.Context(), string(script))
	must(t, err)
	for service, file := range map[string]string{"gateway": "jobs.url", "auth": "accounts.url"} {
		b, err := os.ReadFile(filepath.Join(secrets, file))
		must(t, err)
		var log bytes.Buffer
		args := []string{"migrate", "--database", strings.Replace(strings.TrimSpace(string(b)), "@database:3306", "@"+u.Host, 1)}
		if code := app.Main(t.Context(), service, "", grammars[service], args, &app.Std{In: strings.NewReader(""), Out: &log, Err: &log}); code != 0 {
			t.Errorf("%s: %s", service, log.String())
		}
	}
}

// local is a command of the Compose file for this machine: in place of what is only in
// the container stands what is here.
func local(command []string, here map[string]string) (argv []string) {
	for _, word := range command {
		for from, to := range here {
			word = strings.ReplaceAll(word, from, to)
		}
		argv = append(argv, word)
	}
	return argv
}

// background runs a program until the end of the test.
func background(t *testing.T, cmd *exec.Cmd) *testserver.Output {
	t.Helper()
	out := &testserver.Output{}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return out
}

// eventually waits for a condition.
func eventually(t *testing.T, what func() error, log *testserver.Output) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		err := what()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%v\n%s", err, log)
		}
	}
}

// TestComposeRedis: a real server takes the command, wants the password, drops nothing
// and writes down what it is told.
func TestComposeRedis(t *testing.T) {
	secrets := makeSecrets(t)
	argv := local(compose(t, secrets).Services["redis"].Command, map[string]string{"/run/secrets": secrets})
	port := freePort(t)
	log := background(t, exec.Command(argv[0], append(argv[1:], "--port", port, "--bind", "127.0.0.1", "--dir", t.TempDir())...))
	b, err := os.ReadFile(filepath.Join(secrets, "redis.url"))
	must(t, err)
	options, err := redis.ParseURL(strings.Replace(strings.TrimSpace(string(b)), "redis:6379", "127.0.0.1:"+port, 1))
	must(t, err)
	client := redis.NewClient(options)
	defer client.Close()
	eventually(t, func() error { return client.Ping(t.Context()).Err() }, log)
	for name, want := range map[string]string{"appendonly": "yes", "maxmemory-policy": "noeviction"} {
		if got, err := client.ConfigGet(t.Context(), name).Result(); err != nil || got[name] != want {
			t.Errorf("%s is %q, %v", name, got[name], err)
		}
	}
	stranger := redis.NewClient(&redis.Options{Addr: options.Addr})
	defer stranger.Close()
	if err := stranger.Ping(t.Context()).Err(); err == nil || !strings.Contains(err.Error(), "NOAUTH") {
		t.Errorf("a stranger is told %v", err)
	}
}

// TestComposeS3: the server of the tests, of the same version, takes the command.
func TestComposeS3(t *testing.T) {
	secrets := makeSecrets(t)
	s3 := compose(t, secrets).Services["s3"]
	out, err := exec.Command(filepath.Join(top, "scripts", "versitygw.sh"), "path").Output()
	must(t, err)
	binary := strings.TrimSpace(string(out))
	if _, version, _ := strings.Cut(s3.Image, ":"); !strings.Contains(binary, "versitygw-"+version+"-") {
		t.Errorf("the image is %s, and the tests run on %s", s3.Image, binary)
	}
	port := freePort(t)
	cmd := exec.Command(binary, local(s3.Command, map[string]string{":7070": "127.0.0.1:" + port, "/data": t.TempDir()})...)
	for name, value := range s3.Environment {
		cmd.Env = append(cmd.Env, name+"="+deref(value))
	}
	log := background(t, cmd)
	health := strings.Replace(s3.HealthCheck.Test[len(s3.HealthCheck.Test)-1], ":7070", ":"+port, 1)
	eventually(t, func() error {
		res, err := http.Get(health)
		if err == nil {
			res.Body.Close()
		}
		return err
	}, log)
}

// TestPrometheus: it asks services that there are, on ports that their images open.
func TestPrometheus(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(top, "deploy", "prometheus", "prometheus.yml"))
	must(t, err)
	var config struct {
		Jobs []struct {
			Name string `yaml:"job_name"`
			DNS  []struct {
				Names []string
				Port  int
			} `yaml:"dns_sd_configs"`
		} `yaml:"scrape_configs"`
	}
	must(t, yaml.Unmarshal(b, &config))
	asked := map[string]bool{}
	for _, job := range config.Jobs {
		for _, dns := range job.DNS {
			for _, name := range dns.Names {
				asked[name] = true
				if !slices.Contains(services, name) {
					t.Errorf("%s asks %s, which is no service", job.Name, name)
					continue
				}
				image, _ := convert(t, name)
				if _, ok := image.ExposedPorts[strconv.Itoa(dns.Port)+"/tcp"]; !ok {
					t.Errorf("%s asks %s on %d, and its image opens %v", job.Name, name, dns.Port, image.ExposedPorts)
				}
			}
		}
	}
	for _, name := range services {
		if !asked[name] {
			t.Errorf("it does not ask %s", name)
		}
	}
}
