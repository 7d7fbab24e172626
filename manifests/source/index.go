package source

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // Git's own checksum of a pack; objects are hashed with collision detection
	"errors"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

// indexPack hashes every object of a pack and notes where it lies. go-git's own
// parser holds each object whole while it does that, so that one large file costs
// several times its size; here objects are streamed, and only those that deltas are
// based on are held.
func indexPack(ctx context.Context, pack []byte, limits Limits) (*idxfile.MemoryIndex, error) {
	checksum, err := verifyChecksum(pack)
	if err != nil {
		return nil, err
	}
	x := &indexer{
		writer: new(idxfile.Writer), limits: limits,
		byOffset: map[int64][]delta{}, byHash: map[plumbing.Hash][]delta{}, bases: map[int64]plumbing.ObjectType{},
		random: packfile.NewScanner(newPackFile(ctx, pack)),
	}
	if err := x.scan(packfile.NewScanner(newPackFile(ctx, pack))); err != nil {
		return nil, err
	}
	if err := x.resolve(); err != nil {
		return nil, err
	}
	if err := x.writer.OnFooter(checksum); err != nil {
		return nil, err
	}
	return x.writer.Index()
}

// verifyChecksum compares the pack with the hash at its end.
func verifyChecksum(pack []byte) (plumbing.Hash, error) {
	var said plumbing.Hash
	if len(pack) < len(said)+12 {
		return said, errors.New("the pack is malformed: it is too short")
	}
	body := pack[:len(pack)-len(said)]
	copy(said[:], pack[len(body):])
	if plumbing.Hash(sha1.Sum(body)) != said { //nolint:gosec // see the import
		return said, errors.New("the pack is damaged: its checksum does not match")
	}
	return said, nil
}

// delta is an object stored as its difference to another.
type delta struct {
	offset int64
	crc    uint32
}

type indexer struct {
	writer   *idxfile.Writer
	limits   Limits
	random   *packfile.Scanner // for reading again, in any order
	byOffset map[int64][]delta // base's offset -> deltas
	byHash   map[plumbing.Hash][]delta
	order    []int64 // offsets of whole objects
	bases    map[int64]plumbing.ObjectType
	hashes   []plumbing.Hash // of order
	deltas   int
}

// scan reads the pack once from start to end and adds up declared sizes, before
// anything is built: a few bytes of a delta can declare gigabytes.
func (x *indexer) scan(scanner *packfile.Scanner) error {
	_, count, err := scanner.Header()
	if err != nil {
		return fmt.Errorf("the pack is malformed: %w", err)
	}
	if int64(count) > int64(x.limits.Objects) {
		return fmt.Errorf("%d objects, more than %d: %w", count, x.limits.Objects, ErrLimit)
	}
	var total int64
	for range count {
		header, err := scanner.NextObjectHeader()
		if err != nil {
			return fmt.Errorf("the pack is malformed: %w", err)
		}
		if header.Length > x.limits.ExpandedBytes {
			return fmt.Errorf("an object of %d bytes, more than %d: %w", header.Length, x.limits.ExpandedBytes, ErrLimit)
		}
		size, err := x.object(scanner, header)
		if err != nil {
			return fmt.Errorf("the pack is malformed: %w", err)
		}
		if total += size; size > x.limits.ExpandedBytes || total > x.limits.ExpandedBytes {
			return fmt.Errorf("objects of more than %d bytes in all: %w", x.limits.ExpandedBytes, ErrLimit)
		}
	}
	return nil
}

// object notes one object and returns its size when it is whole.
func (x *indexer) object(scanner *packfile.Scanner, header *packfile.ObjectHeader) (int64, error) {
	if !header.Type.IsDelta() {
		hasher := plumbing.NewHasher(header.Type, header.Length)
		_, crc, err := scanner.NextObject(hasher)
		if err != nil {
			return 0, err
		}
		hash := hasher.Sum()
		x.order, x.hashes = append(x.order, header.Offset), append(x.hashes, hash)
		x.bases[header.Offset] = header.Type
		x.writer.Add(hash, uint64(header.Offset), crc)
		return header.Length, nil
	}
	var start bytes.Buffer
	_, crc, err := scanner.NextObject(&headWriter{buf: &start, left: 20})
	if err != nil {
		return 0, err
	}
	x.deltas++
	d := delta{header.Offset, crc}
	if header.Type == plumbing.OFSDeltaObject {
		x.byOffset[header.OffsetReference] = append(x.byOffset[header.OffsetReference], d)
	} else {
		x.byHash[header.Reference] = append(x.byHash[header.Reference], d)
	}
	return deltaTarget(&start)
}

// resolve builds every delta once, from its base outwards.
func (x *indexer) resolve() error {
	for i, offset := range x.order {
		if len(x.byOffset[offset]) == 0 && len(x.byHash[x.hashes[i]]) == 0 {
			continue
		}
		content, err := x.inflate(offset)
		if err != nil {
			return err
		}
		if err := x.descend(offset, x.hashes[i], x.bases[offset], content, 0); err != nil {
			return err
		}
	}
	if x.deltas > 0 {
		return fmt.Errorf("the pack is malformed: the base of %d objects is not in it", x.deltas)
	}
	return nil
}

// maxDeltaChain is the longest chain that Git writes.
const maxDeltaChain = 4095

func (x *indexer) descend(offset int64, hash plumbing.Hash, kind plumbing.ObjectType, content []byte, depth int) error {
	if depth > maxDeltaChain {
		return fmt.Errorf("the pack is malformed: a chain of more than %d deltas", maxDeltaChain)
	}
	children := append(x.byOffset[offset], x.byHash[hash]...)
	delete(x.byOffset, offset)
	delete(x.byHash, hash)
	for _, d := range children {
		difference, err := x.inflate(d.offset)
		if err != nil {
			return err
		}
		built, err := packfile.PatchDelta(content, difference)
		if err != nil {
			return fmt.Errorf("the pack is malformed: %w", err)
		}
		x.deltas--
		child := plumbing.ComputeHash(kind, built)
		x.writer.Add(child, uint64(d.offset), d.crc)
		if err := x.descend(d.offset, child, kind, built, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// inflate reads what is stored at an offset.
func (x *indexer) inflate(offset int64) ([]byte, error) {
	header, err := x.random.SeekObjectHeader(offset)
	if err != nil {
		return nil, fmt.Errorf("the pack is malformed: %w", err)
	}
	var content bytes.Buffer
	content.Grow(int(min(header.Length, 1<<20)))
	if _, _, err := x.random.NextObject(&content); err != nil {
		return nil, fmt.Errorf("the pack is malformed: %w", err)
	}
	return content.Bytes(), nil
}
