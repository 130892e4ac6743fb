#!/usr/bin/perl
# The adapter of a client library in Perl, Net::Doveadm: reads what to do as JSON, prints what came of it as JSON.
#
#   npx doveadm-vectors client -- perl net-doveadm.pl {socket}
use strict;
use warnings;
use IO::Framed;
use IO::Socket::UNIX;
use JSON::PP;
use Net::Doveadm;

my $json = JSON::PP->new->canonical->utf8;
my $todo = $json->decode( do { local $/; <STDIN> } );

sub say_and_end {
    my ($said) = @_;
    print $json->encode($said), "\n";
    exit 0;
}

say_and_end( { cannot => 'send a text after a command' } ) if exists $todo->{input};

my @words = ( split( / /, $todo->{name} ), @{ $todo->{args} } );
say_and_end( { cannot => 'send an argument with a TAB' } ) if grep { /[\t\n]/ } @words;

my $socket = IO::Socket::UNIX->new( Peer => $ARGV[0] ) or die "connect: $!\n";
my $doveadm = Net::Doveadm->new(
    io       => IO::Framed->new($socket),
    username => $todo->{login}{user},
    password => $todo->{login}{password},
);

# It warns of a login that is not asked for.
local $SIG{__WARN__} = sub { };
local $SIG{ALRM} = sub { say_and_end( { waits => 'for another line' } ) };
alarm 3;
my $cells = eval {
    $doveadm->send(
        username => $todo->{user},
        command  => \@words,
        ( $todo->{debug} ? ( verbosity => 2 ) : $todo->{verbose} ? ( verbosity => 1 ) : () ),
    );
    my $got;
    until ($got) { $got = $doveadm->receive() }
    $got;
};
my $error = $@;
alarm 0;
if ($cells) {

    # The last cell ends in a TAB as all others do.
    pop @$cells if @$cells && $cells->[-1] eq q<>;
    say_and_end( { status => '+', cells => $cells } );
}
say_and_end( { status => $1 } ) if $error =~ /Error: (-.*?) \(/;
say_and_end( { broken => "$error" } );
