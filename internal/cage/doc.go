// Package cage converts in a process of its own for each file, which can harm nothing
// but itself.
//
// libav is a million lines of C that are fed with strangers' files. A child of this
// program takes the source through a socket, converts it, and hands the MP3 back
// through the same socket. Before it sees the first byte it has locked itself in: no
// files, no network, no other programs, bounded memory and time ([lockIn]). It holds
// no credentials: its environment is empty, and it has no descriptor but its end of
// the socket and the one that takes its last words.
//
// The parent serves the child's reads and writes, and believes nothing that it says
// ([session]). What becomes of a child that does not end in order is a [*Fault].
//
// A program whose children are caged calls [Enter] before anything else. Linux only;
// elsewhere [New] says so. docs/security.md tells what the cage stops and what not.
package cage
