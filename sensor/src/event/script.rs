//! Events of the sensor itself and of its scripts, from the seeds' core page (`event.bif`).

use super::page::events;

events! {
    /// Events of the sensor itself and of its scripts, from the seeds' core page (`event.bif`).
    page 5 "script" of "core";

    /// The sensor ends: input read to its end, or stopped by a signal.
    BroDone "bro_done" ();

    /// The sensor starts; no packet has been seen yet.
    BroInit "bro_init" ();

    /// A policy script was loaded.
    /// `path`: the script's full path; `level`: how deep it is nested, 0 at the top.
    BroScriptLoaded "bro_script_loaded" (path: text, level: count);

    /// The events queued so far are about to be handed out.
    EventQueueFlushPoint "event_queue_flush_point" ();

    /// A script opened a file.
    /// `f`: its name.
    FileOpened "file_opened" (f: file);

    /// A sample of where the time goes: of one of many packets.
    /// `samples`: parts and analyzers that worked on it; `cpu`: CPU time that it took; `dmem`: how much more memory is taken, bytes.
    LoadSample "load_sample" (samples: load_sample, cpu = "CPU": interval, dmem: int);

    /// Any other event is raised.
    /// `name`: its name; `params`: its arguments.
    NewEvent "new_event" (name: text, params: event);

    /// A script prints (deprecated in the seeds).
    /// `f`: where to; `s`: the text.
    PrintHook "print_hook" (f: file, s: text);

    /// The internal profile was written.
    /// `f`: the profile's file; `expensive`: the costly part is in it.
    ProfilingUpdate "profiling_update" (f: file, expensive: bool);

    /// The sensor reports an error.
    /// `t`: when; `msg`: the text; `location`: where, may be empty.
    ReporterError "reporter_error" (t: time, msg: text, location: text);

    /// The sensor reports something worth knowing.
    /// `t`: when; `msg`: the text; `location`: where, may be empty.
    ReporterInfo "reporter_info" (t: time, msg: text, location: text);

    /// The sensor warns.
    /// `t`: when; `msg`: the text; `location`: where, may be empty.
    ReporterWarning "reporter_warning" (t: time, msg: text, location: text);

    /// A file's rotation time has come (deprecated in the seeds).
    /// `f`: its name.
    RotateInterval "rotate_interval" (f: file);

    /// A file reached its rotation size (deprecated in the seeds).
    /// `f`: its name.
    RotateSize "rotate_size" (f: file);
}
