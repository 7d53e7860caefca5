package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/mp3lathe/mp3lathe/job"
)

// completionCmd is "mp3lathe completion".
type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" complete:"words:bash zsh fish" help:"bash, zsh or fish."`
}

func (*completionCmd) usage() string { return "mp3lathe completion bash|zsh|fish" }

func (*completionCmd) footer() string {
	return `To have completion in every new shell:
  bash  echo 'source <(mp3lathe completion bash)' >> ~/.bashrc
  zsh   echo 'source <(mp3lathe completion zsh)' >> ~/.zshrc   (after compinit)
  fish  mp3lathe completion fish > ~/.config/fish/completions/mp3lathe.fish
`
}

// Run prints the script. It is made from the same grammar that the command line
// is parsed with.
func (c *completionCmd) Run(app *kong.Kong, std *stdio) error {
	commands := completedCommands(app.Model)
	script := ""
	switch c.Shell {
	case "bash":
		script = bashCompletion(commands)
	case "zsh":
		script = zshCompletion(commands)
	case "fish":
		script = fishCompletion(commands)
	}
	fmt.Fprint(std.out, script)
	return nil
}

// completedCommand is a command as completion needs it.
type completedCommand struct {
	name, help string
	flags      []completedFlag
	args       completedValue
}

type completedFlag struct {
	long, short string // with their dashes; short may be empty
	help        string
	takesValue  bool
	value       completedValue
}

// completedValue is what can stand in a place.
type completedValue struct {
	files, folders bool
	words          []string
}

func completedCommands(app *kong.Application) []completedCommand {
	var commands []completedCommand
	for _, node := range app.Children {
		if node.Hidden {
			continue
		}
		c := completedCommand{name: node.Name, help: firstSentence(node.Help)}
		if len(node.Positional) > 0 {
			c.args = valueOf(node.Positional[0])
		}
		for _, flags := range node.AllFlags(true) {
			for _, f := range flags {
				if f.Name == "version" {
					continue // of the program, not of its commands
				}
				short := ""
				if f.Short != 0 {
					short = "-" + string(f.Short)
				}
				c.flags = append(c.flags, completedFlag{
					long: "--" + f.Name, short: short, help: firstSentence(f.Help),
					takesValue: !f.IsBool(), value: valueOf(f.Value),
				})
			}
		}
		commands = append(commands, c)
	}
	return commands
}

// valueOf reads the tag "complete" of a flag or an argument.
func valueOf(v *kong.Value) completedValue {
	switch kind := v.Tag.Get("complete"); kind {
	case "files":
		return completedValue{files: true}
	case "folders":
		return completedValue{folders: true}
	case "tags":
		var words []string
		for _, name := range job.TagNames() {
			words = append(words, name+"=")
		}
		return completedValue{words: words}
	default:
		words, _ := strings.CutPrefix(kind, "words:")
		return completedValue{words: strings.Fields(words)}
	}
}

// firstSentence is the beginning of a help text, short enough for a menu.
func firstSentence(help string) string {
	for _, end := range []string{". ", ": ", "; ", ", "} {
		if s, _, found := strings.Cut(help, end); found {
			help = s
		}
	}
	return strings.TrimSuffix(help, ".")
}

func names(commands []completedCommand) string {
	var s []string
	for _, c := range commands {
		s = append(s, c.name)
	}
	return strings.Join(s, " ")
}

func bashCompletion(commands []completedCommand) string {
	var values, flags, args strings.Builder
	for _, c := range commands {
		var all []string
		for _, f := range c.flags {
			pattern := c.name + ":" + f.long
			all = append(all, f.long)
			if f.short != "" {
				pattern += " | " + c.name + ":" + f.short
				all = append(all, f.short)
			}
			if f.takesValue {
				fmt.Fprintf(&values, "    %s) %s; return ;;\n", strings.ReplaceAll(pattern, " | ", "|"), bashValue(f.value))
			}
		}
		fmt.Fprintf(&flags, "      %s) COMPREPLY=($(compgen -W '%s' -- \"$cur\")) ;;\n", c.name, strings.Join(all, " "))
		fmt.Fprintf(&args, "    %s) %s ;;\n", c.name, bashValue(c.args))
	}
	return fmt.Sprintf(`# bash completion for mp3lathe
_mp3lathe() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= i
  local IFS=$' \t\n'
  COMPREPLY=()
  # --flag=value comes as three words.
  if [[ $cur == = ]]; then
    cur=
  elif [[ $prev == = ]]; then
    prev=${COMP_WORDS[COMP_CWORD-2]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      %s) command=${COMP_WORDS[i]}; break ;;
    esac
  done
  case $command:$prev in
%s  esac
  if [[ $cur == -* ]]; then
    case $command in
%s      *) COMPREPLY=($(compgen -W '--help --version' -- "$cur")) ;;
    esac
    return
  fi
  case $command in
%s    *) COMPREPLY=($(compgen -W '%s' -- "$cur")) ;;
  esac
}
_mp3lathe_files() {
  local IFS=$'\n'
  COMPREPLY=($(compgen "$1" -- "$cur"))
  compopt -o filenames 2>/dev/null
}
complete -F _mp3lathe mp3lathe
`, strings.ReplaceAll(names(commands), " ", " | "), values.String(), flags.String(), args.String(), names(commands))
}

func bashValue(v completedValue) string {
	switch {
	case v.files:
		return "_mp3lathe_files -f"
	case v.folders:
		return "_mp3lathe_files -d"
	case len(v.words) > 0:
		return fmt.Sprintf(`COMPREPLY=($(compgen -W '%s' -- "$cur"))`, strings.Join(v.words, " "))
	}
	return ":"
}

func zshCompletion(commands []completedCommand) string {
	var list, cases strings.Builder
	for _, c := range commands {
		fmt.Fprintf(&list, "    %s\n", zshQuote(c.name+":"+c.help))
		fmt.Fprintf(&cases, "    %s)\n      _arguments -s -S", c.name)
		for _, f := range c.flags {
			name, value := f.long, ""
			if f.takesValue {
				name += "="
				value = ":value:" + zshValue(f.value)
			}
			help := strings.NewReplacer("[", `\[`, "]", `\]`, ":", `\:`).Replace(f.help)
			if f.short == "" {
				fmt.Fprintf(&cases, " \\\n        %s", zshQuote(name+"["+help+"]"+value))
				continue
			}
			fmt.Fprintf(&cases, " \\\n        '(%s %s)'{%s,%s}%s", f.short, f.long, f.short, name, zshQuote("["+help+"]"+value))
		}
		if action := zshValue(c.args); action != "" {
			fmt.Fprintf(&cases, " \\\n        %s", zshQuote("*:input:"+action))
		}
		cases.WriteString("\n      ;;\n")
	}
	return fmt.Sprintf(`#compdef mp3lathe
# zsh completion for mp3lathe
_mp3lathe() {
  local -a commands
  commands=(
%s  )
  if (( CURRENT == 2 )); then
    if [[ $words[2] == -* ]]; then
      _arguments '--help[Show help]' '--version[Show the version]'
    else
      _describe command commands
    fi
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
%s  esac
}
if [[ $funcstack[1] == _mp3lathe ]]; then
  _mp3lathe "$@"
else
  compdef _mp3lathe mp3lathe
fi
`, list.String(), cases.String())
}

func zshValue(v completedValue) string {
	switch {
	case v.files:
		return "_files"
	case v.folders:
		return "_files -/"
	case len(v.words) > 0:
		return "(" + strings.Join(v.words, " ") + ")"
	}
	return ""
}

func zshQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func fishCompletion(commands []completedCommand) string {
	var b strings.Builder
	b.WriteString("# fish completion for mp3lathe\n")
	b.WriteString("complete -c mp3lathe -f\n")
	b.WriteString("complete -c mp3lathe -n __fish_use_subcommand -l help -d 'Show help'\n")
	b.WriteString("complete -c mp3lathe -n __fish_use_subcommand -l version -d 'Show the version'\n")
	for _, c := range commands {
		fmt.Fprintf(&b, "complete -c mp3lathe -n __fish_use_subcommand -a %s -d %s\n", c.name, fishQuote(c.help))
	}
	for _, c := range commands {
		when := fishQuote("__fish_seen_subcommand_from " + c.name)
		if action := fishValue(c.args); action != "" {
			fmt.Fprintf(&b, "complete -c mp3lathe -n %s%s\n", when, action)
		}
		for _, f := range c.flags {
			fmt.Fprintf(&b, "complete -c mp3lathe -n %s -l %s", when, strings.TrimPrefix(f.long, "--"))
			if f.short != "" {
				fmt.Fprintf(&b, " -s %s", strings.TrimPrefix(f.short, "-"))
			}
			if f.takesValue {
				b.WriteString(" -r" + fishValue(f.value))
			}
			fmt.Fprintf(&b, " -d %s\n", fishQuote(f.help))
		}
	}
	return b.String()
}

func fishValue(v completedValue) string {
	switch {
	case v.files:
		return " -F"
	case v.folders:
		return " -f -a '(__fish_complete_directories)'"
	case len(v.words) > 0:
		return " -f -a " + fishQuote(strings.Join(v.words, " "))
	}
	return ""
}

func fishQuote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'"
}
