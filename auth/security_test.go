package auth

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSecurityTable: each test that the table of docs/security-auth.md names is there.
func TestSecurityTable(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(filepath.Join("..", "docs", "security-auth.md"))
	if err != nil {
		t.Fatal(err)
	}
	folders := map[string]string{"auth": "auth", "token": "auth/token", "gateway": "gateway", "worker": "worker", "main": "cmd/mp3lathe"}
	names := regexp.MustCompile("`([a-z0-9]+)\\.((?:Test|Fuzz)[A-Za-z0-9]+)`").FindAllStringSubmatch(string(b), -1)
	if len(names) < 100 {
		t.Errorf("only %d tests are named", len(names))
	}
	for _, name := range names {
		folder, ok := folders[name[1]]
		if !ok {
			folder = "internal/" + name[1]
		}
		files, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(folder), "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, file := range files {
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			found = found || strings.Contains(string(source), "\nfunc "+name[2]+"(")
		}
		if !found {
			t.Errorf("there is no %s.%s", name[1], name[2])
		}
	}
}

// BenchmarkPassword is what a login costs on purpose.
func BenchmarkPassword(b *testing.B) {
	h, err := newHasher(Config{}.withDefaults())
	if err != nil {
		b.Fatal(err)
	}
	hash, err := h.hash(b.Context(), password)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if ok, _, err := h.check(b.Context(), password, hash); err != nil || !ok {
			b.Fatal(ok, err)
		}
	}
}
