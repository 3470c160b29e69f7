// Feeds readers with inputs that are nearly right, and proves that none of them traps.
//
//     ettin-fuzz READER [READER …] | all [--runs N] [--seed S] [--seconds T] [--first N] [--found FOLDER]
//                [--memory-factor N] [--memory-slack BYTES]
//     ettin-fuzz READER --replay FILE
//
// An input follows from seed and number of its run. Runs are made by a child process, which notes the number of the run
// it is at; when it traps or hangs, the input goes to `found-READER-NUMBER` in the folder of findings, and another child
// goes on behind it. The exit status is 1 when anything was found.

import EttinFiles
import EttinJSON
import Foundation
import FuzzReaders

struct Arguments {
    var readers: [FuzzReader] = []
    var runs = 10_000
    var first = 0
    var seed: UInt64 = 1
    var seconds = Double.infinity
    var found = ".build/fuzz-found"
    var replay: String?
    /// Nil for the reader's own.
    var memoryFactor: Int?
    var memorySlack = 100_000_000
    /// The file in which a child notes where it is.
    var notes: String?

    init(_ texts: [String]) throws {
        var rest = texts[...]
        func number<Value: LosslessStringConvertible>(_ name: String, _: Value.Type) throws -> Value {
            guard let value = rest.popFirst().flatMap({ Value($0) }) else { throw Usage("\(name) needs a number") }
            return value
        }
        while let text = rest.popFirst() {
            switch text {
            case "--runs": runs = try number(text, Int.self)
            case "--first": first = try number(text, Int.self)
            case "--seed": seed = try number(text, UInt64.self)
            case "--seconds": seconds = try number(text, Double.self)
            case "--memory-factor": memoryFactor = try number(text, Int.self)
            case "--memory-slack": memorySlack = try number(text, Int.self)
            case "--found": found = rest.popFirst() ?? found
            case "--replay": replay = rest.popFirst()
            case "--notes": notes = rest.popFirst()
            case "all": readers = FuzzReader.all
            default:
                guard let reader = FuzzReader.named(text) else {
                    throw Usage(
                        "\(text) is no reader; expected all, \(FuzzReader.all.map(\.name).joined(separator: ", "))"
                    )
                }
                readers.append(reader)
            }
        }
        guard !readers.isEmpty, runs >= 0, first >= 0 else {
            throw Usage("name a reader: all, \(FuzzReader.all.map(\.name).joined(separator: ", "))")
        }
    }
}

struct Usage: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// A folder in memory where there is one.
func scratchFolder() throws -> String {
    let base = FilePath.kind(of: "/dev/shm") == .folder ? "/dev/shm" : NSTemporaryDirectory()
    let path = FilePath.joined(base, "ettin-fuzz-\(getpid())")
    try FilePath.makeFolder(path)
    return path
}

/// Lines appear at once, also in a file.
func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }

func write(_ bytes: [UInt8], to path: String) throws { try Data(bytes).write(to: URL(filePath: path)) }

// MARK: - Child

/// Makes the runs, and notes each before it begins.
func work(_ arguments: Arguments, notes: String) throws {
    // A reader that asks for more than this would not get it on a small machine either.
    var limit = rlimit(rlim_cur: 8 << 30, rlim_max: 8 << 30)
    #if os(Linux)
        setrlimit(__rlimit_resource_t(RLIMIT_DATA.rawValue), &limit)
    #endif
    let descriptor = open(notes, O_RDWR | O_CREAT, 0o600)
    guard descriptor >= 0, ftruncate(descriptor, 8) == 0,
        let place = mmap(nil, 8, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), place != MAP_FAILED
    else { throw Usage("\(notes) cannot be mapped") }
    let folder = try scratchFolder()
    defer { try? FilePath.removeTree(folder) }
    var session = FuzzSession(arguments.readers[0], seed: arguments.seed, folder: folder + "/input")
    if let factor = arguments.memoryFactor { session.memoryFactor = factor }
    session.memorySlack = arguments.memorySlack
    let clock = ContinuousClock()
    let start = clock.now
    let range = arguments.first..<arguments.first + arguments.runs
    let tally = try session.run(range) {
        place.storeBytes(of: Int64($0), as: Int64.self)
    } ends: {
        (clock.now - start) / .seconds(1) > arguments.seconds
    }
    try write(tally.json.serialized(), to: notes + ".json")
}

// MARK: - Parent

/// Supervises the runs of one reader; returns whether nothing was found.
func supervise(_ reader: FuzzReader, _ arguments: Arguments) throws -> Bool {
    let scratch = try scratchFolder()
    defer { try? FilePath.removeTree(scratch) }
    let notes = scratch + "/notes"
    var tally = FuzzTally()
    var traps = 0
    let clock = ContinuousClock()
    let start = clock.now
    var elapsed: Double { (clock.now - start) / .seconds(1) }
    var next = arguments.first
    let end = arguments.first + arguments.runs

    func keep(_ run: Int, _ reason: String) throws {
        try FilePath.makeFolder(arguments.found)
        let path = FilePath.joined(arguments.found, "found-\(reader.name)-\(run)")
        try write(try reader.input(seed: arguments.seed, run: run).serialized, to: path)
        say("\(path): \(reason)")
    }

    while next < end, elapsed < arguments.seconds {
        try? FilePath.remove(notes + ".json")
        let child = Process()
        child.executableURL = URL(filePath: CommandLine.arguments[0])
        child.arguments = [
            reader.name, "--notes", notes, "--first", "\(next)", "--runs", "\(min(20_000, end - next))", "--seed",
            "\(arguments.seed)", "--memory-slack", "\(arguments.memorySlack)",
        ]
        if let factor = arguments.memoryFactor { child.arguments? += ["--memory-factor", "\(factor)"] }
        if arguments.seconds.isFinite { child.arguments? += ["--seconds", "\(arguments.seconds - elapsed)"] }
        // A backtrace takes half a minute.
        child.environment = ProcessInfo.processInfo.environment.merging(["SWIFT_BACKTRACE": "enable=no"]) { $1 }
        try write([], to: notes + ".err")
        child.standardError = FileHandle(forWritingAtPath: notes + ".err")
        try child.run()
        var (last, since, isHanging) = (-1, clock.now, false)
        while child.isRunning {
            usleep(5000)
            let run = current(notes)
            if run != last { (last, since) = (run, clock.now) }
            if (clock.now - since) / .seconds(1) > 60 {
                isHanging = true
                kill(child.processIdentifier, SIGKILL)
            }
        }
        child.waitUntilExit()
        try? FilePath.removeTree("/dev/shm/ettin-fuzz-\(child.processIdentifier)")
        if child.terminationReason == .exit, child.terminationStatus == 0 {
            let part = FuzzTally(try JSONValue(parsing: try OpenFile.contents(of: notes + ".json")))
            for (run, reason) in part.broken { try keep(run, reason) }
            tally.add(part)
            guard part.runs > 0 else { break }
            next += part.runs
        } else if child.terminationReason == .exit {
            throw Usage("\(reader.name): the child failed: \(lastWords(notes))")
        } else {
            let run = current(notes)
            traps += 1
            let signal = child.terminationStatus
            try keep(run, isHanging ? "hangs for a minute" : "traps with signal \(signal): \(lastWords(notes))")
            tally.runs += run - next + 1
            next = run + 1
        }
    }
    let refused = tally.refused.values.reduce(0, +)
    let seconds = elapsed
    say(
        "\(reader.name): \(tally.runs) runs, \(tally.accepted) accepted, \(refused) refused in \(tally.refused.count) ways, "
            + "\(traps) traps, \(tally.broken.count) broken promises; \(Int(clamping: Double(tally.runs) / max(seconds, 1e-3)))"
            + " runs/s, slowest \(Int(clamping: tally.slowest.seconds * 1000)) ms (run \(tally.slowest.run)), "
            + "memory +\(tally.largest.bytes / 1_000_000) MB (run \(tally.largest.run))"
    )
    for (message, count) in tally.refused.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }).prefix(12) {
        say("    \(count)  \(message)")
    }
    return traps == 0 && tally.broken.isEmpty
}

/// The run that the child is at.
func current(_ notes: String) -> Int {
    guard let bytes = try? OpenFile(notes, .read).read(at: 0, count: 8), bytes.count == 8 else { return -1 }
    return Int(bytes.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
}

/// What the child said last.
func lastWords(_ notes: String) -> String {
    let bytes = (try? OpenFile.contents(of: notes + ".err")) ?? []
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").last.map(String.init) ?? "no word"
}

func replay(_ reader: FuzzReader, _ path: String) throws -> Bool {
    let bytes = try OpenFile.contents(of: path)
    guard let input = FuzzInput(serialized: bytes) else { throw Usage("\(path) is no input that was found") }
    let folder = try scratchFolder()
    defer { try? FilePath.removeTree(folder) }
    let outcome = try reader.outcome(of: input, in: folder + "/input")
    say("\(outcome)")
    if case .broken = outcome { return false }
    return true
}

do {
    let arguments = try Arguments(Array(CommandLine.arguments.dropFirst()))
    if let notes = arguments.notes {
        try work(arguments, notes: notes)
        exit(0)
    }
    var isClean = true
    for reader in arguments.readers {
        let isFine = try arguments.replay.map { try replay(reader, $0) } ?? supervise(reader, arguments)
        isClean = isClean && isFine
    }
    exit(isClean ? 0 : 1)
} catch {
    FileHandle.standardError.write(Data("error: \(error)\n".utf8))
    exit(64)
}
