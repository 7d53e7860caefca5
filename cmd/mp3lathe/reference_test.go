package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/mp3lathe/mp3lathe/internal/app"
	"github.com/mp3lathe/mp3lathe/internal/app/queues"
	"github.com/mp3lathe/mp3lathe/internal/app/workers"
	"github.com/mp3lathe/mp3lathe/internal/human"
)

var update = flag.Bool("update", false, "write the tables of docs/settings.md anew")

// The tables of docs/settings.md stand between these two lines.
const (
	tablesBegin = "<!-- What follows is made of the code by make docs. -->\n"
	tablesEnd   = "<!-- The end of what make docs has made. -->\n"
)

// TestSettingsReference: docs/settings.md says of every setting what the code says.
// With -update (make docs) it is made to.
func TestSettingsReference(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "docs", "settings.md")
	text := string(read(t, path))
	before, rest, ok := strings.Cut(text, tablesBegin)
	_, after, closed := strings.Cut(rest, tablesEnd)
	if !ok || !closed {
		t.Fatalf("%s lacks the lines between which its tables stand", path)
	}
	want := before + tablesBegin + "\n" + settingsReference(t) + tablesEnd + after
	if text == want {
		return
	}
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have := map[string]bool{}
	for line := range strings.Lines(text) {
		have[line] = true
	}
	for line := range strings.Lines(want) {
		if !have[line] {
			t.Errorf("docs/settings.md lacks %s", line)
		}
	}
	t.Error("docs/settings.md is not what the code says; run: make docs")
}

// program is one of the programs, as kong reads its command line.
type program struct {
	name, short string
	model       *kong.Application
	needs       map[string]bool // flags without which it does not start
}

// services are the programs that serve, in the order of the manual; the last has all
// services in it.
func services(t *testing.T) []program {
	t.Helper()
	all := []program{{name: "mp3lathe-gateway"}, {name: "mp3lathe-auth"}, {name: "mp3lathe-worker"}, {name: "mp3lathe-notifier"}, {name: "mp3lathe-queues"}}
	// What depends on the machine is said in words.
	words := kong.Vars{"cpus": "one for each processor"}
	for i, grammar := range []any{&app.GatewayCLI{}, &app.AuthCLI{}, &workers.CLI{}, &app.NotifierCLI{}, &queues.CLI{}} {
		parser, err := kong.New(grammar, app.Vars("5m"), words)
		if err != nil {
			t.Fatal(err)
		}
		all[i].short, all[i].model = strings.TrimPrefix(all[i].name, "mp3lathe-"), parser.Model
		all[i].needs = needs(t, grammar)
	}
	var grammar cli
	parser, err := newParser(&grammar, &stdio{out: &stickyWriter{w: io.Discard}, err: io.Discard}, func(int) {}, words)
	if err != nil {
		t.Fatal(err)
	}
	return append(all, program{name: "mp3lathe", short: "mp3lathe serve", model: parser.Model})
}

// needs are the flags that a program misses when it is started without any.
func needs(t *testing.T, grammar any) map[string]bool {
	t.Helper()
	var said strings.Builder
	code := app.Main(t.Context(), "program", "", grammar, nil, &app.Std{In: strings.NewReader(""), Out: io.Discard, Err: &said})
	if code != exitUsage {
		t.Fatalf("%T starts without settings: exit code %d, %s", grammar, code, said.String())
	}
	missing := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^program: --([a-z0-9-]+) \(\w+\) is not set`).FindAllStringSubmatch(said.String(), -1) {
		missing[m[1]] = true
	}
	return missing
}

// serves reports whether a command is the one that serves.
func serves(node *kong.Node) bool { return node.Name == "serve" }

// row is a setting that means the same wherever it is.
type row struct {
	flag     *kong.Flag
	of       []string // programs
	defaults []string // of each program
}

// settingsReference is the Markdown of all settings.
func settingsReference(t *testing.T) string {
	t.Helper()
	var (
		b      strings.Builder
		groups []string
		rows   = map[string][]*row{} // by group
	)
	programs := services(t)
	for _, p := range programs {
		for _, node := range p.model.Children {
			if !serves(node) {
				continue
			}
			for _, f := range flagsOf(node) {
				group := "Other"
				if f.Group != nil {
					group = strings.TrimSuffix(f.Group.Title, ":")
				}
				if !slices.Contains(groups, group) {
					groups = append(groups, group)
				}
				i := slices.IndexFunc(rows[group], func(r *row) bool { return r.flag.Name == f.Name && r.flag.Help == f.Help })
				if i < 0 {
					i = len(rows[group])
					rows[group] = append(rows[group], &row{flag: f})
				}
				r := rows[group][i]
				def := standard(f)
				if p.needs[f.Name] {
					def = "must be set"
				}
				r.of, r.defaults = append(r.of, p.short), append(r.defaults, def)
			}
		}
	}
	for _, group := range groups {
		fmt.Fprintf(&b, "## %s\n\n| flag | variable | of | default | value | meaning |\n|---|---|---|---|---|---|\n", group)
		for _, r := range rows[group] {
			fmt.Fprintf(&b, "| %s | `%s` | %s | %s | %s | %s |\n", spelled(r.flag), strings.Join(r.flag.Tag.Envs, "`, `"),
				strings.Join(r.of, ", "), r.standards(), value(r.flag), meaning(r.flag))
		}
		b.WriteString("\n")
	}
	b.WriteString("## Other commands\n\nWhat a command shares with the service is in the tables above.\n\n")
	for _, p := range programs {
		for _, node := range p.model.Leaves(true) {
			if !serves(node) {
				b.WriteString(commandReference(p, node))
			}
		}
	}
	return b.String()
}

// flagsOf are the flags of a command, without those that every command line has.
func flagsOf(node *kong.Node) []*kong.Flag {
	return slices.DeleteFunc(slices.Clone(node.Flags), func(f *kong.Flag) bool { return f.Name == "help" || f.Name == "version" || f.Hidden })
}

// commandReference tells of one that does not serve. Of the program mp3lathe, whose command line
// has a manual of its own, only what has a variable is told.
func commandReference(p program, node *kong.Node) string {
	shared, own := []string{}, ""
	var all []*kong.Flag
	for _, other := range p.model.Children {
		if serves(other) {
			all = flagsOf(other)
		}
	}
	for _, f := range flagsOf(node) {
		variable := len(f.Tag.Envs) > 0
		switch {
		case slices.ContainsFunc(all, func(o *kong.Flag) bool { return o.Name == f.Name && variable }):
			shared = append(shared, "`--"+f.Name+"`")
		case variable || p.name != "mp3lathe":
			env := "none"
			if variable {
				env = "`" + strings.Join(f.Tag.Envs, "`, `") + "`"
			}
			own += fmt.Sprintf("| %s | %s | %s | %s | %s |\n", spelled(f), env, standard(f), value(f), meaning(f))
		}
	}
	if p.name == "mp3lathe" && own == "" && len(shared) == 0 {
		return ""
	}
	text := fmt.Sprintf("### %s %s\n\n%s", p.name, strings.TrimPrefix(node.Path(), p.model.Name+" "), node.Help)
	if len(shared) > 0 {
		text += " It takes " + strings.Join(shared, ", ") + "."
	}
	text += "\n\n"
	if own != "" {
		text += "| flag | variable | default | value | meaning |\n|---|---|---|---|---|\n" + own + "\n"
	}
	return text
}

// spelled is what a flag is called by.
func spelled(f *kong.Flag) string {
	s := "`--" + f.Name + "`"
	if f.Short != 0 {
		s += ", `-" + string(f.Short) + "`"
	}
	return s
}

// standards are the defaults of a row: one if all programs have the same.
func (r *row) standards() string {
	var each []string // different ones, in the order of the programs
	of := map[string][]string{}
	for i, def := range r.defaults {
		if of[def] == nil {
			each = append(each, def)
		}
		of[def] = append(of[def], r.of[i])
	}
	if len(each) == 1 {
		return each[0]
	}
	for i, def := range each {
		each[i] = strings.Join(of[def], ", ") + ": " + def
	}
	return strings.Join(each, "; ")
}

// inWords finds what the help says of a default that is no value of the grammar's.
var inWords = regexp.MustCompile(`\s*Default: (.+?)\.(\s|$)`)

// standard is the default of a flag.
func standard(f *kong.Flag) string {
	switch m := inWords.FindStringSubmatch(f.Help); {
	case m != nil:
		return plain(m[1])
	case !f.HasDefault || f.Default == "":
		if f.IsBool() {
			return "no"
		}
		return "none"
	case strings.Contains(f.Default, " "): // words
		return plain(f.Default)
	}
	text := "`" + f.Default + "`"
	if n, err := strconv.ParseInt(f.Default, 10, 64); err == nil && f.PlaceHolder == "BYTES" {
		text += fmt.Sprintf(" (%s)", human.Size(n))
	}
	if d, err := time.ParseDuration(f.Default); err == nil && d >= 48*time.Hour && d%(24*time.Hour) == 0 {
		text += fmt.Sprintf(" (%d days)", d/(24*time.Hour))
	}
	return text
}

// units are the words for placeholders that say less than a word.
var units = map[string]string{
	"TIME": "time", "BYTES": "bytes", "N": "number", "MIB": "MiB", "N:N:N": "numbers", "SECRET": "secret", "FILE": "file", "DIR": "folder",
}

// value says what can be given, and in which unit.
func value(f *kong.Flag) string {
	switch {
	case f.IsBool():
		return "yes or no"
	case f.Enum != "":
		return "`" + strings.ReplaceAll(f.Enum, ",", "`, `") + "`"
	}
	return cmp.Or(units[f.PlaceHolder], plain(f.PlaceHolder))
}

// meaning is the help of a flag without what other columns say.
func meaning(f *kong.Flag) string {
	text := strings.TrimSuffix(strings.TrimSpace(inWords.ReplaceAllString(f.Help, "$2")), ".")
	return plain(text)
}

// plain is text for a cell of a table, in which nothing is Markdown.
func plain(s string) string {
	return strings.NewReplacer("|", `\|`, "<", `\<`, "*", `\*`, "_", `\_`, "[", `\[`).Replace(s)
}
