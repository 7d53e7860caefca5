package app

import (
	"fmt"
	"math"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// Faults gathers what is wrong with the settings of a program, so that all of it is
// said at once, and before anything is begun. The zero value holds none.
type Faults struct{ sentences []string }

// Add says of a flag, named without its dashes, what is wrong with it. The sentence
// goes on behind the flag's name: "is 0: want 1 or more".
func (f *Faults) Add(flag, format string, a ...any) {
	f.sentences = append(f.sentences, label(flag)+" "+fmt.Sprintf(format, a...))
}

// Err is nil, or a [SettingsError] of all that was added.
func (f *Faults) Err() error {
	if len(f.sentences) == 0 {
		return nil
	}
	return SettingsError(f.sentences)
}

// SettingsError is settings that cannot be obeyed: a sentence for each.
type SettingsError []string

// Error returns the sentences, one a line.
func (e SettingsError) Error() string { return strings.Join(e, "\n") }

// label is how a flag is called: by its name and that of its variable.
func label(flag string) string { return "--" + flag + " (" + variable(flag) + ")" }

// variable is the environment variable of a flag.
func variable(flag string) string {
	return "MP3LATHE_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// Number says so if a flag's number is not within bounds.
func (f *Faults) Number(flag string, value, least, most int64) {
	if value < least || value > most {
		f.Add(flag, "is %d: want %s", value, bounds(most == math.MaxInt64, strconv.FormatInt(least, 10), strconv.FormatInt(most, 10)))
	}
}

// Time says so if a flag's time is not within bounds.
func (f *Faults) Time(flag string, value, least, most time.Duration) {
	if value < least || value > most {
		f.Add(flag, "is %s: want %s", short(value), bounds(most == Long, short(least), short(most)))
	}
}

func bounds(open bool, least, most string) string {
	if open {
		return least + " or more"
	}
	return least + " to " + most
}

// Long is the longest time that is taken where nothing better bounds it: times are
// added up, and must not overflow.
const Long = 100 * 365 * 24 * time.Hour

// short is a time as people write it: 24h, not 24h0m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Address says so if a flag's address is not one to listen on.
func (f *Faults) Address(flag, value string) {
	_, port, err := net.SplitHostPort(value)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil {
		f.Add(flag, "is %q: want an address such as 127.0.0.1:8080, or :8080 for all of this machine's", value)
	}
}

// httpURL says so if a flag's value is not the address of a service.
func (f *Faults) httpURL(flag, value, example string) {
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		f.Add(flag, "is %q: want one such as %s", value, example)
	}
}

// Wrong says what a package thinks of a flag's value, if it is an error.
func (f *Faults) Wrong(flag string, err error) {
	if err != nil {
		f.Add(flag, "is wrong: %s", Plain(err))
	}
}

// Secret returns the value of a flag, or what is in the file that the flag of the
// same name and "-file" names. It is empty if something is wrong.
func (f *Faults) Secret(flag, value, file string) string {
	fileFlag := flag + "-file"
	switch {
	case value != "" && file != "":
		f.Add(flag, "and %s are both set: one is enough", label(fileFlag))
		return ""
	case value != "":
		return value
	case file == "":
		f.Add(flag, "is not set, nor is %s", label(fileFlag))
		return ""
	}
	b := f.File(fileFlag, file)
	value = strings.TrimSpace(string(b))
	if b != nil && value == "" {
		f.Add(fileFlag, "names %s, which is empty", file)
	}
	return value
}

// File returns what is in the file that a flag names; nil if it cannot be read.
func (f *Faults) File(flag, file string) []byte {
	b, err := os.ReadFile(file)
	if err != nil {
		f.Add(flag, "names a file that cannot be read: %s", reason(err))
		return nil
	}
	if b == nil {
		b = []byte{}
	}
	return b
}

// reason is an error of a file's, with its name, without the system call's.
func reason(err error) string {
	for _, op := range []string{"open ", "read "} {
		if s, ok := strings.CutPrefix(err.Error(), op); ok {
			return s
		}
	}
	return err.Error()
}

// FlagsFirst lets what is said on the command line beat the environment in both of
// its forms: --x beats MP3LATHE_X_FILE too, and --x-file beats MP3LATHE_X. It is to
// be called between parsing and use.
func FlagsFirst(parsed *kong.Context) {
	given := map[string]bool{}
	for _, p := range parsed.Path {
		if p.Flag != nil {
			given[p.Flag.Name] = true
		}
	}
	for _, flag := range parsed.Flags() {
		other, isFile := strings.CutSuffix(flag.Name, "-file")
		if !isFile {
			other += "-file"
		}
		if given[other] && !given[flag.Name] {
			flag.Target.SetZero()
		}
	}
}
