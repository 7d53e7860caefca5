// Package imports keeps the rules of who may import whom. The rules and their
// reasons stand in docs/architecture.md.
package imports

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/mp3lathe/mp3lathe"

// pkg is what `go list -json` says of a package.
type pkg struct {
	ImportPath string
	Name       string
	GoFiles    []string
	CgoFiles   []string
	Imports    []string
	Deps       []string
	Incomplete bool // it, or what it needs, cannot be built
}

// packages lists those of the module. cgo is "1" or "0", as in CGO_ENABLED.
func packages(t *testing.T, cgo string) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Name,GoFiles,CgoFiles,Imports,Deps,Incomplete", "./...")
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 20 {
		t.Fatalf("only %d packages found", len(all))
	}
	return all
}

// within reports whether a package is one of others or lies below one.
func within(path string, others ...string) bool {
	for _, o := range others {
		if path == o || strings.HasPrefix(path, o+"/") {
			return true
		}
	}
	return false
}

// standard reports whether a package is the standard library's.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".") && path != "C"
}

// service returns the service that a package belongs to, or "".
func service(path string) string {
	for _, s := range []string{"gateway", "auth", "worker", "notifier"} {
		if within(path, module+"/"+s) {
			return s
		}
	}
	return ""
}

const (
	transcode  = module + "/transcode"
	token      = module + "/auth/token"
	account    = module + "/auth/account"
	internal   = module + "/internal"
	testserver = internal + "/testserver"
	planted    = internal + "/cage/planted"
)

// rules say which package may not import which other, outside of its tests.
var rules = []struct {
	forbids func(p, imp string) bool
	reason  string
	// example is an import that breaks the rule.
	example [2]string
}{
	{
		func(p, imp string) bool { return within(imp, "github.com/asticode/go-astiav") && p != transcode },
		"only transcode does, so that a change of FFmpeg is a change of one package",
		[2]string{module + "/worker", "github.com/asticode/go-astiav"},
	},
	{
		func(p, imp string) bool { return imp == "C" && p != transcode },
		"only transcode uses cgo, so that the rest builds without a C compiler and C's memory is one package's care",
		[2]string{transcode + "/internal/mp4", "C"},
	},
	{
		func(p, imp string) bool {
			return within(p, transcode) && within(imp, module) && !within(imp, transcode)
		},
		"the public package stands on its own, or users would get the services with it",
		[2]string{transcode, module + "/job"},
	},
	{
		func(p, imp string) bool {
			return within(p, transcode+"/internal") && within(imp, transcode) && !within(imp, transcode+"/internal")
		},
		"formats know nothing of conversion",
		[2]string{transcode + "/internal/mp3", transcode},
	},
	{
		func(p, imp string) bool { return p == module+"/job" && !standard(imp) },
		"the domain needs the standard library only, so that everything can know it and nothing gets more with it",
		[2]string{module + "/job", "github.com/google/uuid"},
	},
	{
		func(p, imp string) bool { return p == token && within(imp, module) },
		"to verify a token takes public keys; whoever does it must not get accounts and passwords with it",
		[2]string{token, account},
	},
	{
		func(p, imp string) bool {
			from, to := service(p), service(imp)
			return from != "" && to != "" && from != to && !(from == "gateway" && imp == token)
		},
		"services meet in the database, the queue and the bucket, so that each can be deployed, and can fail, alone",
		[2]string{module + "/gateway", module + "/auth"},
	},
	{
		func(p, imp string) bool {
			return within(p, internal) && !within(p, internal+"/app") && service(imp) != "" && imp != account
		},
		"what services are built of does not know them; internal/app puts the two together",
		[2]string{internal + "/jobstore", module + "/gateway"},
	},
	{
		func(p, imp string) bool {
			return within(imp, "github.com/hibiken") && !within(p, internal+"/queue")
		},
		"only internal/queue does, so that another queue is a change of one package",
		[2]string{module + "/worker", "github.com/hibiken/asynq"},
	},
	{
		func(p, imp string) bool {
			return within(imp, "go.opentelemetry.io") && p != internal+"/trace" && p != testserver // which is a collector
		},
		"only internal/trace does, so that what is told of users is looked at in one place",
		[2]string{module + "/worker", "go.opentelemetry.io/otel"},
	},
	{
		func(p, imp string) bool {
			return within(imp, "gocloud.dev", "github.com/aws") && p != internal+"/objstore"
		},
		"only internal/objstore does, so that what a bucket promises is promised in one place",
		[2]string{internal + "/app", "github.com/aws/aws-sdk-go-v2/service/s3"},
	},
	{
		func(p, imp string) bool {
			return within(imp, "github.com/go-sql-driver", "modernc.org", "github.com/pressly/goose", "github.com/mattn/go-sqlite3") &&
				p != internal+"/sqldb" && p != testserver // which makes databases for tests
		},
		"only internal/sqldb does, so that the stores speak SQL and the differences of the databases lie in one place",
		[2]string{internal + "/jobstore", "modernc.org/sqlite"},
	},
	{
		func(p, imp string) bool {
			return within(imp, "github.com/coreos/go-oidc", "golang.org/x/oauth2", "github.com/go-jose/go-jose") && p != module+"/auth/openid"
		},
		"only auth/openid does, so that what is believed of a provider is checked in one place",
		[2]string{module + "/auth", "github.com/coreos/go-oidc/v3/oidc"},
	},
	{
		func(p, imp string) bool {
			return within(imp, "go.mongodb.org") && p != internal+"/mongodb" && p != internal+"/jobstore/mongo" && p != internal+"/objstore" && p != internal+"/gridimport" &&
				p != testserver // which makes databases for tests
		},
		"only internal/mongodb does, which opens databases, and those that keep jobs and bytes there or take old ones over",
		[2]string{internal + "/app", "go.mongodb.org/mongo-driver/v2/mongo"},
	},
	{
		func(p, imp string) bool { return within(imp, "github.com/FerretDB") },
		"it is a server for tests, in a module of its own",
		[2]string{testserver, "github.com/FerretDB/FerretDB/ferretdb"},
	},
	{
		func(p, imp string) bool { return within(imp, testserver) && !within(p, module+"/bench") },
		"it starts servers for tests and benches",
		[2]string{internal + "/app", testserver},
	},
	{
		func(p, imp string) bool { return imp == planted },
		"it commits crimes, for tests",
		[2]string{module + "/cmd/worker", planted},
	},
	{
		func(p, imp string) bool {
			return within(imp, "github.com/landlock-lsm", "github.com/elastic/go-seccomp-bpf") && p != internal+"/cage"
		},
		"only internal/cage does, so that what locks a process in stands in one place",
		[2]string{module + "/worker", "github.com/landlock-lsm/go-landlock/landlock"},
	},
	{
		func(p, imp string) bool { return within(imp, "testing") },
		"testing adds its flags to the program",
		[2]string{testserver, "testing"},
	},
	{
		func(p, imp string) bool { return within(imp, module+"/cmd") },
		"commands are the end of the chain",
		[2]string{internal + "/app", module + "/cmd/gateway"},
	},
}

func TestImports(t *testing.T) {
	t.Parallel()
	for _, r := range rules {
		if !r.forbids(r.example[0], r.example[1]) {
			t.Errorf("%s may import %s, which is not: %s", r.example[0], r.example[1], r.reason)
		}
	}
	for _, p := range packages(t, "1") {
		for _, imp := range p.Imports {
			for _, r := range rules {
				if r.forbids(p.ImportPath, imp) {
					t.Errorf("%s imports %s: %s", p.ImportPath, imp, r.reason)
				}
			}
		}
		if within(p.ImportPath, transcode+"/internal") && len(p.CgoFiles) > 0 {
			t.Errorf("%s has cgo: formats are pure Go, so that what reads strangers' files is memory-safe", p.ImportPath)
		}
	}
}

// TestPure: what does not convert is built without cgo, to run anywhere from one
// static file, and takes no code with it that reads strangers' media in C.
func TestPure(t *testing.T) {
	t.Parallel()
	converts := []string{
		transcode, internal + "/cage", internal + "/cage/planted", module + "/worker", module + "/internal/app/workers", module + "/cmd/worker", module + "/cmd/mp3lathe",
		module + "/internal/mutant/trial", module + "/scripts/mutants", // which try it
		module + "/bench/scale", // which sweeps as a worker does
	}
	for _, p := range packages(t, "0") {
		if slices.Contains(converts, p.ImportPath) {
			continue
		}
		if slices.Contains(p.Deps, transcode) {
			t.Errorf("%s depends on transcode: only what runs conversions does; the others build with CGO_ENABLED=0", p.ImportPath)
		} else if p.Incomplete {
			t.Errorf("%s does not build with CGO_ENABLED=0; go list -deps tells what it lacks", p.ImportPath)
		}
	}
}

// TestGoroutines: formats start none, which is why scripts/test.sh tests them without
// the race detector.
func TestGoroutines(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("..", "..", "transcode", "internal", "*", "*.go"))
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(gotoken.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if _, ok := n.(*ast.GoStmt); ok {
				t.Errorf("%s starts a goroutine: take it out of what scripts/test.sh excepts", file)
			}
			return true
		})
	}
}

// TestEnvironment: only commands read the environment, so that a setting has one
// way in.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	for _, p := range packages(t, "1") {
		if p.Name == "main" || p.ImportPath == planted { // which tells what a child can see
			continue
		}
		folder := filepath.Join(root, strings.TrimPrefix(p.ImportPath, module))
		for _, f := range append(p.GoFiles, p.CgoFiles...) {
			b, err := os.ReadFile(filepath.Join(folder, f))
			if err != nil {
				t.Fatal(err)
			}
			for _, call := range []string{"os.Getenv(", "os.LookupEnv(", "os.Environ(", "signal.Notify"} {
				if strings.Contains(string(b), call) {
					t.Errorf("%s/%s has %s: only commands do", p.ImportPath, f, call)
				}
			}
		}
	}
}
