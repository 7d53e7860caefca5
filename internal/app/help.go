package app

import (
	"runtime"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
)

// Vars are the values that stand in the grammar of a program as ${name}. drain is
// the default of --drain.
func Vars(drain string) kong.Vars {
	return kong.Vars{"drain": drain, "cpus": strconv.Itoa(runtime.GOMAXPROCS(0))}
}

// Describe is what the help says of a flag or an argument: its text, its default and
// its variable. A flag with the tag secret is told to stay off command lines.
func Describe(v *kong.Value) string {
	text := strings.TrimSuffix(v.Help, ".")
	var notes []string
	if v.HasDefault && v.Default != "" {
		notes = append(notes, "default "+v.Default)
	}
	for _, name := range v.Tag.Envs {
		notes = append(notes, "$"+name)
	}
	if len(notes) > 0 {
		text += " (" + strings.Join(notes, ", ") + ")"
	}
	text += "."
	if v.Tag.Has("secret") {
		text += " Others on the machine can see a command line: better give the file or the variable."
	}
	return text
}
