import EttinModel

/// The text of the checkpoint error that `body` throws; empty when it throws none.
func message(_ body: () throws -> some Any) -> String {
    do {
        _ = try body()
        return ""
    } catch let error as CheckpointError {
        return error.description
    } catch {
        return "another error: \(error)"
    }
}

/// The kind of the first problem that `body` throws.
func kind(_ body: () throws -> some Any) -> CheckpointError.Kind? {
    do {
        _ = try body()
        return nil
    } catch {
        return (error as? CheckpointError)?.problems.first?.kind
    }
}
