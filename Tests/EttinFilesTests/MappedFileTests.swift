import EttinFiles
import TestSupport
import Testing

@Suite("Mapped files")
struct MappedFileTests {
    @Test("A slice keeps the mapping alive after the file object and the file are gone")
    func sliceKeepsMapping() throws {
        let slice: MappedSlice
        do {
            let folder = try TemporaryFolder()
            slice = try MappedFile(path: folder.write("0123456789", "x")).slice(2..<5)
        }
        #expect(slice.withUnsafeBytes { Array($0) } == Array("234".utf8))
        #expect(slice.count == 3)
    }

    @Test("An empty file has no bytes and only the empty slice")
    func emptyFile() throws {
        let folder = try TemporaryFolder()
        let file = try MappedFile(path: folder.write("", "x"))
        #expect(file.count == 0)
        #expect(try file.slice(0..<0).count == 0)
        #expect(throws: FileError.self) { try file.slice(0..<1) }
    }

    @Test("A slice outside the file is refused", arguments: [0..<11, 10..<11, -1..<2, 5..<Int.max])
    func outside(range: Range<Int>) throws {
        let folder = try TemporaryFolder()
        let file = try MappedFile(path: folder.write("0123456789", "x"))
        #expect(throws: FileError.self) { try file.slice(range) }
    }

    @Test("Folders, absent files, devices and impossible names are refused in words")
    func refusals() throws {
        let folder = try TemporaryFolder()
        #expect(message { try MappedFile(path: folder.path) }.contains("is a folder"))
        #expect(message { try MappedFile(path: folder.file("none")) }.contains("cannot be opened"))
        #expect(message { try MappedFile(path: "/dev/null") }.contains("is not a regular file"))
        #expect(message { try MappedFile(path: "a\0b") }.contains("NUL"))
        #expect(kind { try MappedFile(path: folder.file("none")) } == .missing)
    }

    @Test("Stores into a copy-on-write mapping stay in memory")
    func copyOnWrite() throws {
        let folder = try TemporaryFolder()
        let file = try MappedFile(path: folder.write("abc", "x"), access: .copyOnWrite)
        file.withUnsafeBytes { UnsafeMutableRawBufferPointer(mutating: $0)[0] = 0x7A }
        #expect(file.withUnsafeBytes { $0[0] } == 0x7A)
        #expect(try folder.read("x") == Array("abc".utf8))
    }

    @Test("A file that is not committed leaves nothing behind, a committed one replaces")
    func atomic() throws {
        let folder = try TemporaryFolder()
        try folder.write("old", "x")
        do {
            let file = try AtomicFile(path: folder.file("x"))
            try file.write(Array("half".utf8))
            #expect(try folder.names.count == 2)
        }
        #expect(try folder.names == ["x"])
        #expect(try folder.read("x") == Array("old".utf8))
        try AtomicFile.write(Array("new".utf8), to: folder.file("x"))
        #expect(try folder.names == ["x"])
        #expect(try folder.read("x") == Array("new".utf8))
        #expect(throws: FileError.self) { try AtomicFile.write([], to: folder.file("none/x")) }
        #expect(throws: FileError.self) { try AtomicFile.write([], to: folder.file("..")) }
    }
}

/// The text of the file error that `body` throws; empty when it throws none.
private func message(_ body: () throws -> some Any) -> String {
    do {
        _ = try body()
        return ""
    } catch {
        return (error as? FileError)?.description ?? "another error: \(error)"
    }
}

/// The kind of the file error that `body` throws.
private func kind(_ body: () throws -> some Any) -> FileError.Kind? {
    do {
        _ = try body()
        return nil
    } catch {
        return (error as? FileError)?.kind
    }
}
