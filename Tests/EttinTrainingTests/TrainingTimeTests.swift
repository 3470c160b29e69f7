import EttinTraining
import Testing

@Suite("Training time")
struct TrainingTimeTests {
    @Test(
        "times are read with their units",
        arguments: [
            ("1_700_000_000_000tok", TrainingTime(1.7e12, .token)), ("2ep", TrainingTime(2, .epoch)),
            ("0.1dur", TrainingTime(0.1, .duration)), ("100ba", TrainingTime(100, .batch)),
            ("1e3sp", TrainingTime(1000, .sample)), ("1.5sec", TrainingTime(1.5, .second)),
            ("3iter", TrainingTime(3, .iteration)),
        ]
    )
    func reading(text: String, time: TrainingTime) throws {
        #expect(try TrainingTime(parsing: text, key: "max_duration") == time)
        #expect(try TrainingTime(parsing: time.description, key: "max_duration") == time)
    }

    @Test(
        "what no run lasts is refused with the limit",
        arguments: ["9223372036854775807ba", "1e19ba", "1e300ep", "9007199254740994tok", "1e18dur"]
    )
    func huge(text: String) throws {
        let error = #expect(throws: TrainingError.self) { try TrainingTime(parsing: text, key: "max_duration") }
        #expect(error?.description.hasPrefix("max_duration: is \"\(text)\"; expected at most 9007199254740992") == true)
        #expect(try TrainingTime(parsing: "9007199254740992ba", key: "max_duration").value == 0x1p53)
    }

    @Test(
        "what is no time is refused by the key's name",
        arguments: ["", "tok", "12", "12 tok", "1.5ba", "-1ba", "5toks", "nantok", "0x1p"]
    )
    func refused(text: String) {
        #expect {
            try TrainingTime(parsing: text, key: "max_duration")
        } throws: {
            "\($0)".hasPrefix("max_duration: is \"\(text)\"; expected ")
        }
    }

    @Test(
        "a fraction of a run is cut to what is counted whole",
        arguments: [
            (TrainingTime(0.1, .duration), TrainingTime(1003, .batch), TrainingTime(100, .batch)),
            (TrainingTime(0.5, .duration), TrainingTime(1, .epoch), TrainingTime(0.5, .epoch)),
            (TrainingTime(0.5, .duration), TrainingTime(3, .second), TrainingTime(1.5, .second)),
            (TrainingTime(5, .batch), TrainingTime(1000, .token), TrainingTime(5, .batch)),
        ]
    )
    func fractions(span: TrainingTime, of maximum: TrainingTime, is expected: TrainingTime) {
        #expect(span.resolved(in: maximum) == expected)
    }

    @Test("an interval ends where its multiple is passed")
    func intervals() {
        var clock = TrainingClock()
        var fired: [Int] = []
        for step in 0..<10 {
            let before = clock
            clock.advance(samples: 2, tokens: 30, epoch: step < 4 ? 0 : 1)
            if clock.crosses(TrainingTime(100, .token), since: before) { fired.append(clock.batch) }
        }
        #expect(fired == [4, 7, 10])
        #expect(clock.epoch == 1)
        #expect(clock.batchInEpoch == 5)
    }
}
