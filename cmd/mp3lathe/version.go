package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/alecthomas/kong"

	"github.com/mp3lathe/mp3lathe/transcode"
)

// version is set by the build: -ldflags "-X main.version=1.2.3".
var version = "dev"

// versionCmd is "mp3lathe version".
type versionCmd struct {
	JSON bool `name:"json" help:"Print a JSON object."`
}

// versions are those of the program and of what it is made of.
type versions struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	transcode.Versions
}

func (c *versionCmd) Run(std *stdio) error {
	v := currentVersions()
	if c.JSON {
		fmt.Fprintln(std.out, asJSON(v))
		return nil
	}
	commit := ""
	if v.Commit != "" {
		commit = " (" + v.Commit + ")"
	}
	fmt.Fprint(std.out, columns("", [][]string{
		{"mp3lathe", v.Version + commit},
		{"libav", v.Libav},
		{"LAME", v.LAME},
		{"Go", v.Go + " " + v.Platform},
	}))
	return nil
}

func currentVersions() versions {
	v := versions{
		Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Versions: transcode.LibraryVersions(),
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	modified := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			v.Commit = s.Value[:min(len(s.Value), 12)]
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = "+changes"
		}
	}
	if v.Commit != "" {
		v.Commit += modified
	}
	if built := info.Main.Version; v.Version == "dev" && built != "" && built != "(devel)" {
		v.Version = built
	}
	return v
}

// versionFlag is --version.
type versionFlag bool

// BeforeReset prints the version instead of running a command.
func (versionFlag) BeforeReset(app *kong.Kong) error {
	fmt.Fprintln(app.Stdout, "mp3lathe", currentVersions().Version)
	app.Exit(exitDone)
	return nil
}

// IgnoreDefault lets the flag stand without a command.
func (versionFlag) IgnoreDefault() {}
