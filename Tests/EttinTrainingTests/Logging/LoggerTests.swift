import EttinJSON
import Foundation
import TestSupport
import Testing

@testable import EttinTraining

/// A clock after so many batches of 8 samples and 100 tokens.
private func clock(_ batch: Int) -> TrainingClock {
    var clock = TrainingClock()
    for _ in 0..<batch { clock.advance(samples: 8, tokens: 100, epoch: 0) }
    clock.seconds = Double(batch) / 2
    return clock
}

@Suite("JSON Lines logger")
struct JSONLinesLoggerTests {
    private func write(_ batches: ClosedRange<Int>, to path: String, continuingAfter batch: Int?) throws {
        let logger = try JSONLinesLogger(path: path, continuingAfterBatch: batch)
        for batch in batches { try logger.log([("loss/train/total", 10 / Double(batch))], at: clock(batch)) }
        try logger.finish()
    }

    @Test("a line is one flat object under Composer's names, in the file at once")
    func line() throws {
        try withTemporaryFolder { folder in
            let logger = try JSONLinesLogger(path: folder.file("metrics.jsonl"), continuingAfterBatch: nil)
            try logger.log([("loss/train/total", 2.5), ("lr-StableAdamW/group0", 8e-4)], at: clock(3))
            let text = String(decoding: try folder.read("metrics.jsonl"), as: UTF8.self)
            #expect(
                text == "{\"time/batch\":3,\"time/token\":300,\"time/sample\":24,\"time/epoch\":0,"
                    + "\"time/seconds\":1.5,\"loss/train/total\":2.5,\"lr-StableAdamW/group0\":0.0008}\n"
            )
        }
    }

    @Test("what is no number is null, and reads as no number")
    func notANumber() throws {
        try withTemporaryFolder { folder in
            let logger = try JSONLinesLogger(path: folder.file("m"), continuingAfterBatch: nil)
            try logger.log([("loss/train/total", .nan), ("x", .infinity)], at: clock(1))
            let text = String(decoding: try folder.read("m"), as: UTF8.self)
            #expect(text.contains("\"loss/train/total\":null,\"x\":null"))
            #expect(try MetricsFile.read(folder.file("m"))[0].values["x"]?.isNaN == true)
        }
    }

    @Test("going on equals never having stopped", arguments: [0, 1, 4, 9])
    func resuming(batch: Int) throws {
        try withTemporaryFolder { folder in
            try write(1...10, to: folder.file("whole"), continuingAfter: nil)
            try write(1...9, to: folder.file("parts"), continuingAfter: nil)
            try write(batch + 1...10, to: folder.file("parts"), continuingAfter: batch)
            #expect(try folder.read("parts") == folder.read("whole"))
        }
    }

    @Test("a last line cut off anywhere by a kill is written anew", arguments: [1, 20, 60, 100])
    func tornLine(cut: Int) throws {
        try withTemporaryFolder { folder in
            try write(1...5, to: folder.file("whole"), continuingAfter: nil)
            let whole = try folder.read("whole")
            try folder.write(Array(whole.dropLast(cut)), "parts")
            #expect(try MetricsFile.read(folder.file("parts")).count == 4)
            try write(5...5, to: folder.file("parts"), continuingAfter: 4)
            #expect(try folder.read("parts") == whole)
        }
    }

    @Test("a run that begins keeps nothing, and one that goes on needs no file")
    func beginning() throws {
        try withTemporaryFolder { folder in
            try write(1...5, to: folder.file("m"), continuingAfter: nil)
            try write(1...2, to: folder.file("m"), continuingAfter: nil)
            #expect(try MetricsFile.read(folder.file("m")).map(\.batch) == [1, 2])
            try write(3...4, to: folder.file("absent"), continuingAfter: 2)
            #expect(try MetricsFile.read(folder.file("absent")).map(\.batch) == [3, 4])
        }
    }

    @Test(
        "a line that is not ours is named by file and number",
        arguments: [
            ("{\"time/batch\":1,", "m:2: is not JSON: "), ("[1]", "m:2: is a JSON array; expected an object"),
            ("{}", "m:2: has no \"time/batch\"; expected a count"),
            ("{\"time/batch\":-1}", "m:2: \"time/batch\" is -1; expected a count"),
            ("{\"time/batch\":1,\"time/token\":2,\"x\":\"y\"}", "m:2: \"x\" is a string; expected a number or null"),
        ]
    )
    func malformed(line: String, message: String) throws {
        try withTemporaryFolder { folder in
            try folder.write("{\"time/batch\":1,\"time/token\":2}\n\(line)\n", "m")
            #expect {
                try JSONLinesLogger(path: folder.file("m"), continuingAfterBatch: 5)
            } throws: {
                "\($0)".hasPrefix(folder.path) && "\($0)".contains(message)
            }
        }
    }

    @Test("a folder in the file's place is an error that names it")
    func folderInPlace() throws {
        let folder = try TemporaryFolder()
        #expect {
            try JSONLinesLogger(path: folder.path, continuingAfterBatch: nil)
        } throws: {
            "\($0)".hasPrefix("\(folder.path): cannot be opened for appending")
        }
    }
}

@Suite("TensorBoard logger")
struct TensorBoardLoggerTests {
    private func names(of folder: TemporaryFolder) throws -> [String] { try folder.names.sorted() }

    @Test("a run that goes on writes a later file, which voids the batches after its checkpoint")
    func resuming() throws {
        try withTemporaryFolder { folder in
            let starts: [(Int?, Double)] = [(nil, 1_700_000_000.5), (300, 1_700_000_000.5), (nil, 1_600_000_000.5)]
            for (batch, now) in starts {
                let logger = try TensorBoardLogger(folder: folder.path, continuingAfterBatch: batch) { now }
                try logger.log([("loss", 1)], at: clock(1))
                try logger.finish()
            }
            let names = try names(of: folder)
            #expect(names.map { $0.prefix(30) } == (0..<3).map { "events.out.tfevents.170000000\($0)" })
            func begins(_ index: Int, _ step: Int, _ now: Double) throws -> Bool {
                let version = EventRecord(content: .fileVersion, step: 0, wallTime: now).bytes
                let restart = EventRecord(content: .restart, step: step, wallTime: now).bytes
                return try folder.read(names[index]).starts(with: version + restart)
            }
            #expect(try !begins(0, 0, 1_700_000_000.5))
            #expect(try begins(1, 301, 1_700_000_000.5))
            #expect(try begins(2, 0, 1_600_000_000.5))
        }
    }

    @Test("a file in the folder's place is an error that names it")
    func fileInPlace() throws {
        try withTemporaryFolder { folder in
            let path = try folder.write("x", "tensorboard")
            #expect {
                try TensorBoardLogger(folder: path, continuingAfterBatch: nil)
            } throws: {
                "\($0)".hasPrefix("\(path): cannot be made a folder")
            }
        }
    }
}
