package source

import (
	"bytes"
	"errors"

	"github.com/go-git/go-git/v5/plumbing"
)

// tagObject is what Refloat needs of an annotated tag.
type tagObject struct {
	target plumbing.Hash
	name   string
}

// parseTag reads the three lines that a tag object starts with, in Git's order.
func parseTag(raw []byte) (tagObject, error) {
	malformed := errors.New("the tag is malformed")
	rest := raw
	field := func(key string) (string, bool) {
		line, after, ok := bytes.Cut(rest, []byte("\n"))
		value, has := bytes.CutPrefix(line, []byte(key+" "))
		rest = after
		return string(value), ok && has
	}
	target, ok := field("object")
	if !ok || !plumbing.IsHash(target) || len(target) != 40 {
		return tagObject{}, malformed
	}
	kind, ok := field("type")
	if !ok || (kind != "commit" && kind != "tag") {
		return tagObject{}, errors.New("the tag points to no commit")
	}
	name, ok := field("tag")
	if !ok || name == "" {
		return tagObject{}, malformed
	}
	return tagObject{target: plumbing.NewHash(target), name: name}, nil
}

// splitCommit takes the signature out of a commit as stored and returns what was
// signed: every byte but the signature headers. The object is not parsed and written
// again, so that nothing is lost which the signature covers.
func splitCommit(raw []byte) (payload, signature []byte, err error) {
	found, inSignature, inOther := 0, false, false
	for rest := raw; len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n') + 1
		if end == 0 {
			end = len(rest)
		}
		line := rest[:end]
		rest = rest[end:]
		continued := line[0] == ' '
		switch {
		case continued && inSignature:
			signature = append(signature, line[1:]...)
			continue
		case continued && inOther:
			continue
		}
		inSignature, inOther = false, false
		if value, ok := bytes.CutPrefix(line, []byte("gpgsig ")); ok {
			found++
			inSignature = true
			signature = append(signature, value...)
			continue
		}
		if bytes.HasPrefix(line, []byte("gpgsig-")) { // of another hash function
			inOther = true
			continue
		}
		payload = append(payload, line...)
		if line[0] == '\n' { // the message follows
			payload = append(payload, rest...)
			break
		}
	}
	if found > 1 {
		return nil, nil, errors.New("the commit carries more than one signature")
	}
	return payload, signature, nil
}

// splitTag takes the signature from the end of a tag's message.
func splitTag(raw []byte) (payload, signature []byte) {
	start := -1
	for at := 0; at < len(raw); {
		line := raw[at:]
		if bytes.HasPrefix(line, []byte(openPGPArmor)) || bytes.HasPrefix(line, []byte(sshArmor)) {
			start = at
		}
		end := bytes.IndexByte(line, '\n')
		if end < 0 {
			break
		}
		at += end + 1
	}
	if start < 0 {
		return raw, nil
	}
	return raw[:start], raw[start:]
}
