// Package apptest has what the tests of several commands share. It is imported by
// tests only (and says so in errors, not by package testing).
package apptest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// Explained reports the flags that are not told of in a help text, with default and
// variable. (That the manual tells of them is a test of cmd/mp3lathe.)
func Explained(flags []*kong.Flag, help string) error {
	var errs []error
	fault := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	help = strings.Join(strings.Fields(help), " ") // where lines end is no matter
	names := map[string]*kong.Flag{}
	for _, flag := range flags {
		names[flag.Name] = flag
	}
	for _, flag := range flags {
		if flag.Name == "help" || flag.Name == "version" {
			continue
		}
		name := "--" + flag.Name
		if !flag.IsBool() {
			name += "="
		}
		_, text, ok := strings.Cut(help, name)
		if !ok {
			fault("the help lacks --%s", flag.Name)
			continue
		}
		text, _, _ = strings.Cut(text, " --") // the next one
		variable := "MP3LATHE_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
		switch {
		case flag.Tag.Has("env") && !strings.Contains(text, "$"+variable):
			fault("the help of --%s lacks $%s: %s", flag.Name, variable, text)
		case flag.HasDefault && !strings.Contains(text, "default "+flag.Default):
			fault("the help of --%s lacks its default %s: %s", flag.Name, flag.Default, text)
		}
		if file := names[flag.Name+"-file"]; file != nil && !strings.Contains(text, "Others on the machine can see a command line") {
			fault("the help of --%s does not warn of its place on a command line", flag.Name)
		}
	}
	return errors.Join(errs...)
}
